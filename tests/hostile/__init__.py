"""What somebody may put into a channel on purpose: it is refused, in little memory and time, and nothing is lost."""
