"""Predictions of many rows: a table scored in parts, and the log of a server, joined with labels."""
