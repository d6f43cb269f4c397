"""What a model expects of its rows, and how given rows differ from it."""
