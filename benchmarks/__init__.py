"""Comparisons with rattler-index and conda-index: their outputs and their costs."""
