"""View 3, Live: charts and the log."""
