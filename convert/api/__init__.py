"""The public verbs, one a module: what programs call, and the command line too."""
