"""The frozen encoder and the cache that keeps its token states, once per unique text."""
