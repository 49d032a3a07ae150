"""A GPT-2 computed in NumPy: float32 arithmetic, whatever the type its weights are stored in.

Unlike the other rooms, this one imports NumPy at once: who comes here computes, a thousand times a
second, and nobody else comes here.
"""
