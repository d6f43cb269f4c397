"""The steps of a check, one a file."""
