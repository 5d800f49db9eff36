"""Reproduction of the paper: all experiments, the verdicts, the report."""
