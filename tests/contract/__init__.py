"""One suite that every store passes, and what only one kind of store does."""
