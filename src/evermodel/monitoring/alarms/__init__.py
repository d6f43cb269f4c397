"""Turns the monitor's counts into alarms."""
