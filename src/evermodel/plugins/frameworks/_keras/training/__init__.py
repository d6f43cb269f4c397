"""Trains Keras networks."""
