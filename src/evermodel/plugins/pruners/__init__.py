"""Pruners: ways to make a model smaller and faster, one a file."""
