"""Floor 0: source text and places in it, diagnostics as data, names."""
