"""Training: what `fit` and the compiled path share, and the compiled path."""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas")
