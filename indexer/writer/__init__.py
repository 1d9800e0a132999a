"""Publish files."""
