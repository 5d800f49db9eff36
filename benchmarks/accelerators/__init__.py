"""TPUs and GPUs without one: compiled for, and with their rounding."""
