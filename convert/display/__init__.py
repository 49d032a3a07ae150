"""How objects show themselves to people: a line at a prompt, a table in a notebook."""
