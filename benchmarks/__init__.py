"""Benchmarks: one script per comparison, one table out."""
