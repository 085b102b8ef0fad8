"""Side-by-side benchmarks: ours against a peer in one run, as ratios; ``make bench`` prints and keeps them."""
