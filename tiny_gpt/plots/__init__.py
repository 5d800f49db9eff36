"""Figures of Matplotlib."""
