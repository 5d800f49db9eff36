"""The page with every verdict."""

from tiny_gpt.runtime.moved import names_of

__getattr__ = names_of("report", "report.page")
