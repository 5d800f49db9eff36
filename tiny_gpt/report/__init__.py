"""The report: a page with every verdict."""

from tiny_gpt.runtime.checks import check_installed

check_installed("jinja2", "matplotlib", "pandas")
