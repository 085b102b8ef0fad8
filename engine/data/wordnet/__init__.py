"""WordNet: its files, morphology, glosses, usage events."""
