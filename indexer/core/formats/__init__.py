"""The files that clients read."""
