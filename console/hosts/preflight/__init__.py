"""Preflight: a checklist of what runs need on a host, with advice and repairs."""
