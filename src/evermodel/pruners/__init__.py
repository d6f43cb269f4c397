"""Ways to make a model smaller and faster, one a file: changes like those in updates/."""
