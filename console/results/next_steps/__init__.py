"""From the verdict to the next run: steps with evidence, derived conditions, recorded decisions."""
