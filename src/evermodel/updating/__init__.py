"""The pipeline of an update: read, split, train, judge, refit, commit."""
