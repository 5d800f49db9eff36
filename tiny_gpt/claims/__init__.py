"""Claims of the paper, their evidence and their verdicts."""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas", "scipy")
