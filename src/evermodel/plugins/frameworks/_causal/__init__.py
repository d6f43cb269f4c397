"""Causal language models that answer with one of known texts."""
