"""Training bundles: drafts, negatives, danger and tiers, synthetic contexts."""
