"""Scoring on held-out items: retrieval, coherence, killers, attention; the head and mean pooling side by side."""
