"""Evaluation items over all runs: which conditions rank them right, what one fixed or broke, one item in full."""
