"""The named inputs and outputs of a model: which columns they are made of, and which is judged."""
