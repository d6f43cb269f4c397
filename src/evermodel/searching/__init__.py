"""Searches for a better model: tune, prune, fuse, iterate."""
