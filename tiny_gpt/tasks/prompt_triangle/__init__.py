"""The triangle in the prompt: A->C asked after facts of A->B and B->C."""
