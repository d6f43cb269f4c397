"""Versions that are tried in service beside the one that serves."""
