"""What all tests share."""

import gc
import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Frees what a file of tests has compiled, of which others use little."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    programs = sys.modules.get("tiny_gpt.training.compiled_runs")
    if programs:
        programs.forget_programs()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
