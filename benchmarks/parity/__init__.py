"""What we publish beside what rattler-index and conda-index publish of the same packages: the page docs/parity.md."""
