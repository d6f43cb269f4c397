"""Takes a deployed model into the registry."""
