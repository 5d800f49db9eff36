"""Experiments, one question per module; `python -m experiments --help`."""
