"""PyTorch files, read without torch: their pickle is interpreted here, and nothing in it is run."""
