"""One suite that every store passes, the behavior of single stores, and each provider as it behaves on the wire."""
