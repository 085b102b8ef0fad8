"""What runs on the GPU host: data, encoder, SenseHead training and evaluation."""
