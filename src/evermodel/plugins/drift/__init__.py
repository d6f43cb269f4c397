"""Drift statistics: one file each; plain arrays in, a number out. ``of_counts`` takes counted rows instead."""
