"""Floor 4: data, training, checkpoints; loads and trains emitted programs."""
