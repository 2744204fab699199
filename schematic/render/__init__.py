"""Floor 4: drawings and derivation pages."""
