"""Plugins of Evermodel that another package brings."""
