"""One file a command: what each does, above listing, reading and writing."""
