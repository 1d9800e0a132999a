"""What a person configured, with its origin."""
