"""The files for people."""
