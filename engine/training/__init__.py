"""Training the SenseHead: losses, curriculum, schedule, the loop, its checkpoint."""
