"""Searches for a smaller model that is no worse."""
