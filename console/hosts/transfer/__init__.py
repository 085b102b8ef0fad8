"""Transfers to and from a host: channel, batches, folder sync with its plan and verdict, uploads."""
