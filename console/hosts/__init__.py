"""The hosts: connection, agent, launch, follow, abort, pull, and the embedded host."""
