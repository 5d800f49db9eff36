"""What a claim is, the evidence it is judged on, and its verdict."""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas", "scipy")
