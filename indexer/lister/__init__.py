"""Finds the subdirs, packages and index files of a channel."""
