"""A network's graph: which channels flow where, found by running it on the names of channels."""
