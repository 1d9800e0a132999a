"""Channels that go from one indexer to another and back."""
