"""What strangers can put before us, thrown at every reader: a corpus that is replayed, and `make fuzz` to find more."""
