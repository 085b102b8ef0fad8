"""Keeps evaluation texts out of the training data, and proves it."""
