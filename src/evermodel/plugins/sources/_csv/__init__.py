"""Dialects of text tables."""
