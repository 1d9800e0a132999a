"""Packages read on a real cluster: a scheduler and worker processes on loopback."""
