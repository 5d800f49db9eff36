"""Measurements behind a choice that was made."""
