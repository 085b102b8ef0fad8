"""Folders synced with a host, both ways: plan, channel, batches, verdict."""
