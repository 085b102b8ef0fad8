"""View 5, Items: an explorer of the evaluation items and of what conditions fixed and broke."""
