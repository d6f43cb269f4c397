"""Strategies: ways to train a challenger from a model and new rows, one a file."""
