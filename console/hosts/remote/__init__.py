"""What the console asks of a host: the agent's client, launches, uploads, Python commands."""
