"""Compares champion and challenger on the same rows and says what follows."""
