"""The laws of the core, on values drawn at random."""
