"""`indexer prune`."""
