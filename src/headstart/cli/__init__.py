"""The command line: the shell's composition root."""
