"""The analysis of an experiment: plan, gates with intervals, comparisons, and the verdict in words."""
