"""The monitor's values as samples of metrics."""
