"""What each provider does on the wire, as far as it is known, and that nothing is lost there."""
