"""Backup, restore, garbage collection and signatures."""
