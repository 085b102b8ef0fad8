"""Programs for people who set the project up or work on it; nothing here is installed."""
