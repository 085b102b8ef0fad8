"""Slurm as the launcher: its commands, its queue, the state of a run under it."""
