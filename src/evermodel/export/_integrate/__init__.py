"""Configuration files for the systems that watch: one module a system, templates in files/."""
