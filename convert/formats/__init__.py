"""Containers, each with its reader beside its writer. They know bytes and not GPT-2."""
