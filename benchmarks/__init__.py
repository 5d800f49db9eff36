"""One script per comparison, one table out."""
