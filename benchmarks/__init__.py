"""Comparisons with rattler-index and conda-index, in what they write and in what they cost."""
