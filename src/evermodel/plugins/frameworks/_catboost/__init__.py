"""Parts of the CatBoost plugin."""
