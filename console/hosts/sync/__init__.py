"""Folders in step with a host: pushed and pulled by manifest, runs mirrored while they run, each end with a verdict."""
