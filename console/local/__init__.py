"""Local copies without a host: the experiment of a folder, a session of its runs as they are, and one that replays them."""
