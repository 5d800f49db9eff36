"""Formulas in NumPy and SciPy, each with its source."""
