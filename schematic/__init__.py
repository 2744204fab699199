"""schematic: from the drawing of a deep generative model to its objectives, its code and its training."""
