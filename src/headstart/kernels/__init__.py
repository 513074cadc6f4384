"""Arrays in, arrays out: compiled loops that know no names, files or settings."""
