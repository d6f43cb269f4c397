"""Commands given model files or folders instead of the name of a model in a registry."""
