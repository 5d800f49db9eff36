"""Hangul: syllables, the jamo they are made of, and their Latin letters."""
