"""Tensors whose bytes come on demand, and what can be done with them chunk by chunk."""
