"""The terminal UI: it only arranges what the floors below know."""
