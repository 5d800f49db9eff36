"""What `fit` and the compiled path share, and both of them."""
