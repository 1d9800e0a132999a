"""Checks of a release: quick ones as tests, and `python -m tests.release`, which builds and uses what a release has."""
