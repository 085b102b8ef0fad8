"""Scoring on held-out items: retrieval, coherence, killers, attention; head and mean pooling side by side."""
