"""Floor 6: parses arguments and calls; nothing more."""
