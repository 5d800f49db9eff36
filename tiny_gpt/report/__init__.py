"""The report: a page with every verdict."""

from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.runtime.moved import names_of

check_installed("jinja2", "matplotlib", "pandas")
__getattr__ = names_of("report", "report.page")
