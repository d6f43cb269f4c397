"""How the tables of older registries become those of today, one file a step."""
