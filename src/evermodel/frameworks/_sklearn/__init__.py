"""Parts of frameworks/sklearn.py."""
