"""Metrics: one file each; ``core/stats/metric.py`` says what a metric declares and may offer."""
