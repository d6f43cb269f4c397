"""Data, models, contracts, records, statistics and errors. Knows numpy and polars, and no framework."""
