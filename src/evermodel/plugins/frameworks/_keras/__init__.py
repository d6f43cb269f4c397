"""Private parts of the Keras plugin: reading strangers' files, training, widening."""
