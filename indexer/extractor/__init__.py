"""Read the metadata of packages."""
