"""Reads and writes Keras files."""
