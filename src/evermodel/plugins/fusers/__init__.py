"""Fusers: ways to make one model of several, one a file."""
