"""Files: sources that are checked and read at offsets, targets that appear whole or not at all."""
