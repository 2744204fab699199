"""Floor 4: data, training, checkpoints, metrics, devices; loads and trains emitted programs."""
