"""Training: what `fit` and the compiled path share, and that path."""
