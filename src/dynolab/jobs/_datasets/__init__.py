"""Dataset files: named tensors in batches, as AI Hub's client writes and reads them."""
