"""The evaluation: retrieval and coherence items, probes, killers."""
