"""SSH connections: route, login, host keys, channels, retries, remote Python, and the embedded server."""
