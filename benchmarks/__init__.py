"""Measurements; each is a script with a --help."""
