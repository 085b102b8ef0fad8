"""The SenseHead, frozen mean pooling beside it, and the operations on ragged batches that both use."""
