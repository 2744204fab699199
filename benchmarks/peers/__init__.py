"""Training steps as people write them, for the comparison of `benchmarks.speed`."""
