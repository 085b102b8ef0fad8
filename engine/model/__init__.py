"""The SenseHead, its mean-pool baseline, and the ragged operations both stand on."""
