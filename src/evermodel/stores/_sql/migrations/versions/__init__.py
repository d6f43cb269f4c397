"""How the tables of older homes become those of today, one file a step."""
