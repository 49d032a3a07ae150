"""TensorFlow itself as a reader, in a process of its own."""
