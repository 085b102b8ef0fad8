"""The frozen encoder, and the cache of its token states."""
