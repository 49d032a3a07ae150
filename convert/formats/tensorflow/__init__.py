"""TensorFlow checkpoints: the V2 format from its bytes, any other through an engine."""
