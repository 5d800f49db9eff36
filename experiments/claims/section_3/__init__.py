"""Claims of the paper's experiments."""
