"""Hands measurements to Prometheus and Nagios, and configures the programs around Evermodel."""
