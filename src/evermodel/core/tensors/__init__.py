"""Weights in files of the format safetensors, read and checked without a framework."""
