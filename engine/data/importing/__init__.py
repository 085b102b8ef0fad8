"""Files of the user's own: recognised, read line by line, gated, and prepared as if they had been built."""
