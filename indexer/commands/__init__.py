"""One file for each command, above listing, reading and writing."""
