"""Checks everything a deployed model depends on."""
