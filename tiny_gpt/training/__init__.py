"""What `fit` and the compiled path share, and both of them."""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas")
