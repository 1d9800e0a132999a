"""What tests are made of: stores in memory, and values drawn at random."""
