"""The steps of one run, which can be called alone (prepare, train, evaluate), and their sequence (run)."""
