"""Sweeps from the command line."""
