"""One file a way to turn a model and new rows into a new model."""
