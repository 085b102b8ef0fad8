"""Runs as the console knows them: snapshot, view, launch plan, sync status, log."""
