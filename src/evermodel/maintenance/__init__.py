"""Checks and updates models on schedules and triggers, without a person."""
