"""Runs synced from the host: tailed while they run, pulled once they have ended, verified."""
