"""Known events, and methods that find them: see `benchmarks/detection.py`."""
