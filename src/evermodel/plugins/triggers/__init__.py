"""Reasons to update a model now, one trigger a file."""
