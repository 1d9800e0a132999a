"""The files of this project compared with those of rattler-index and conda-index: the page docs/parity.md."""
