"""Rows of one person or thing are deleted wherever a registry keeps rows: requests for privacy."""
