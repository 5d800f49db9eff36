"""What all tests share."""

import gc
import os
import resource
import sys

import pytest

# Trained models are looked into: `make test-slow`.
SLOW = ("tests/probes/", "tests/experiments/measurements/")
# Their questions are those of JAX, asked again.
SLOW_ON_TENSORFLOW = (*SLOW, "tests/experiments/")
MOST_BYTES = 2**31  # of one process, before it forgets what it has compiled


@pytest.hookimpl(tryfirst=True)  # before slow ones are left out
def pytest_collection_modifyitems(items):
    backend = os.environ.get("KERAS_BACKEND")
    slow = SLOW_ON_TENSORFLOW if backend == "tensorflow" else SLOW
    for item in items:
        if item.nodeid.startswith(slow):
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
