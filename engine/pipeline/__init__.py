"""One run from its data to its metrics: prepare, train, evaluate."""
