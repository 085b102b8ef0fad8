"""View 5, Items: the evaluation items that runs got wrong."""
