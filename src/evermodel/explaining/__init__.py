"""What differs between two versions of a model: where the new one wins and loses, and why."""
