"""Ways to tell a person, one a file."""
