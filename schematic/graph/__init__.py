"""Floor 2: variables, factors, models; static checks; the algebra of models."""
