"""The private parts of plugins/frameworks/lightgbm.py."""
