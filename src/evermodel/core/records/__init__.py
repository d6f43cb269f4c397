"""The records that are stored, typed and with a schema version."""
