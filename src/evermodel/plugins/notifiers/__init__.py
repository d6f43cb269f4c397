"""Notifiers: ways to send a notice to people, one a file."""
