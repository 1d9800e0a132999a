"""Versions and match specs of conda."""
