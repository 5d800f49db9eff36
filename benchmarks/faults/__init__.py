"""Fault injection: what survives killed processes and damaged files."""
