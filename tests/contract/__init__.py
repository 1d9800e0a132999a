"""One suite that every store passes, the behaviour of single stores, and each provider as it behaves on the wire."""
