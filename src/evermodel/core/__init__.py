"""The nouns. Knows numpy and polars, and no framework."""
