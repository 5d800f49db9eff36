"""Arithmetic: tables f and g in Z_p, and some rows of g(f)."""
