"""Results from the local copies of runs: load, aggregate, failed items, tables, reports. Nothing here imports Textual."""
