"""Whole channels compared with committed ones, byte for byte."""
