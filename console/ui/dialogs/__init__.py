"""Dialogs: confirmation, questions of the host, help."""
