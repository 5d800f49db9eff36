"""What all tests share."""

import gc
import os
import resource
import sys

import pytest

# Their questions are those of JAX, asked again: `make test-slow`.
SLOW_ON_TENSORFLOW = ("tests/probes/", "tests/experiments/")
MOST_BYTES = 2**31  # of one process, before it forgets what it has compiled


@pytest.hookimpl(tryfirst=True)  # before slow ones are left out
def pytest_collection_modifyitems(items):
    if os.environ.get("KERAS_BACKEND") != "tensorflow":
        return
    for item in items:
        if item.nodeid.startswith(SLOW_ON_TENSORFLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Frees what files of tests have compiled, when it is much."""
    yield
    if _used_bytes() < MOST_BYTES:
        return
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    for name, forget in (
        ("tiny_gpt.training.compiled_runs", "forget_programs"),
        ("tiny_gpt.training.compiled_model", "forget_models"),
        ("jax", "clear_caches"),
    ):
        if name in sys.modules:
            getattr(sys.modules[name], forget)()
    gc.collect()


def _used_bytes():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # not on macOS
        return MOST_BYTES
