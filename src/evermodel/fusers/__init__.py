"""Ways to make one model of several, one a file: changes like those in updates/."""
