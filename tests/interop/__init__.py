"""Interoperability: clients install from our channels, other indexers index them, a browser shows their pages."""
