"""In-context learning: a bijection that the window itself shows."""
