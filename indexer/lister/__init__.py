"""Find what a channel has."""
