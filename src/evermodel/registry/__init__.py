"""Versions, the names that refer to them, and what is done with a version: promote, predict, evaluate, save."""
