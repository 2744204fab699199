"""Floor 5: questions about models: what differs, what a model is, how models are related."""
