"""Changes the structure of Keras networks."""
