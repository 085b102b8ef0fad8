"""The data: WordNet's usage events, the three editions of bundles, the frozen evaluation."""
