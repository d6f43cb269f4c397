"""How good predictions are: one file a metric; ``core/comparing.py`` says what it may offer."""
