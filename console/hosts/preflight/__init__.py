"""Preflight: a checklist of what a run needs of its host, which says what it found, what to do, and can do it."""
