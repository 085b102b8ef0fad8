"""Requests to a host: the shipped agent and its client, launch requests, the engine's wheel."""
