"""Where versions, names and events are kept."""
