"""How a bare model is to be fed and read, by what its reference rows or the deployed answers show."""
