"""Hyperparameters, descriptions, steps, run directories, safe files and keyed draws."""
