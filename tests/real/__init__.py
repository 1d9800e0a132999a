"""Packages that other people have built."""
