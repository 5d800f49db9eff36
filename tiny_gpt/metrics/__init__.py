"""The metrics frame: its columns, how logs become one, its summary."""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas")
