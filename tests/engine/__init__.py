"""Whole runs of the engine over a store in memory."""
