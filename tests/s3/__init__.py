"""Real processes, many at once and killed at every step, on a real S3 server and in a folder."""
