"""What a claim is, the evidence it is judged on, and its verdict."""
