"""Other recommenders on the same ratings, each in a process of its own, in the environment that scripts/peers makes."""
