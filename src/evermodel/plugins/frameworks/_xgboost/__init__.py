"""The private parts of plugins/frameworks/xgboost.py."""
