"""The verb `promote`: copy packages from one channel to another, and index them there."""
