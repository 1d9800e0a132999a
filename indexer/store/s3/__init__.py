"""A bucket of an S3-compatible store."""
