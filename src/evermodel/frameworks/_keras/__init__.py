"""Private parts of the Keras plug: reading strangers' files, training, widening."""
