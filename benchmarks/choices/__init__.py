"""Measurements on which a choice was based."""
