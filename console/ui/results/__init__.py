"""View 4, Results."""
