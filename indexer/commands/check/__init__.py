"""`indexer check`."""
