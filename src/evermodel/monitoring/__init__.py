"""Watches the version in service: intake of rows, windows, performance, drift, alarms."""
