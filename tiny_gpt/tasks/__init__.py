"""Tasks: the data and questions from which models learn."""
