"""Real clients read, solve and install from what we publish."""
