"""Stores: where versions, names and events are stored."""
