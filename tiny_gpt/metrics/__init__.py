"""The metrics frame: its columns, how it is made from logs, its summary."""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas")
