"""Faults injected into the command line: see `benchmarks/faults.py`."""
