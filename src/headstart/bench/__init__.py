"""How fast, beside a peer measured in the same run."""
