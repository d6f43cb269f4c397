"""The private parts of frameworks/lightgbm.py."""
