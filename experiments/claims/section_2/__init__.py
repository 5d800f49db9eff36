"""Claims of the paper's theory, a family of their own."""
