"""Contract tests that plugin authors run: one module a kind."""
