"""How much of a model can go."""
