"""Floor 3: a graph becomes objectives, a plan, a program."""
