"""One file a question that the judge asks."""
