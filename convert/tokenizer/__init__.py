"""Text and token ids: the tokenizer beside the weights, read and applied as it stands."""
