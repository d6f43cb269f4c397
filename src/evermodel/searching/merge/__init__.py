"""Merges model files of any size, a part at a time: weights in, weights out, no framework."""
