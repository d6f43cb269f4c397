"""Tuners: ways to search a space of hyperparameters, one a file."""
