"""Floor 5: calculus and programs held against exact mathematics."""
