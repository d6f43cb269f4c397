"""Rows: tables, the values in them, and their cleaning."""
