"""`indexer doctor`."""
