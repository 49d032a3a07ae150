"""TensorFlow checkpoints: the V2 format from and to its bytes, any other through an engine."""
