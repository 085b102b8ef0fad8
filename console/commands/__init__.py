"""The headless twin: the console's core without a screen, a command a file."""
