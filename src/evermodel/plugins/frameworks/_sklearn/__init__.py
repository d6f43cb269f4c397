"""Parts of plugins/frameworks/sklearn.py."""
