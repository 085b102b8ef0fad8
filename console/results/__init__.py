"""The results: polars aggregates over items, gates, failed items, contingency. Nothing here knows the terminal."""
