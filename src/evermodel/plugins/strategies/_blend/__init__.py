"""What the members of a blend are trained on, and for how long."""
