"""A server of several processes: one that watches, and workers that answer."""
