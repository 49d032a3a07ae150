"""Two checkpoints compared: names, shapes, dtypes, configuration and every bit of the weights."""
