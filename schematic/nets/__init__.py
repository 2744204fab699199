"""Floor 2: the built-in networks, each a torch module beside its torch-free shape rule."""
