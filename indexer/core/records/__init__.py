"""From a package's own metadata to its record."""
