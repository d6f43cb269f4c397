"""Frameworks: one file each, to load, save, predict and fit its models."""
