"""The private parts of frameworks/xgboost.py."""
