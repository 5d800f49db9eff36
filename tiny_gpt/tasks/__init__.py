"""What is learned: each task gives data and questions."""
