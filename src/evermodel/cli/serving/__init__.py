"""The commands that use a model in service: serve, label, publish, score, release."""
