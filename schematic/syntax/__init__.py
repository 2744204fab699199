"""Floor 1: text to syntax tree and back."""
