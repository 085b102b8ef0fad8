"""SSH connections: route, login, host keys, channels, retry, and the embedded server."""
