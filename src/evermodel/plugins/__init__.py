"""Everything that can be exchanged: one folder a kind, one file a plugin."""
