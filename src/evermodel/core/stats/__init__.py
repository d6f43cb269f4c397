"""Statistics on arrays: tests, intervals, e-processes, distances."""
