"""The page with every verdict."""
