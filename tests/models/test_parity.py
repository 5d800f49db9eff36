"""JAX and TensorFlow compute the same, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BACKENDS = ("jax", "tensorflow")
WORKER = Path(__file__).parents[1] / "helpers" / "parity_worker.py"


def work(backend, *arguments):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(WORKER.parent.parent),
    }
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of both backends after 20 steps from the same weights."""
    folders = {b: tmp_path_factory.mktemp(b) for b in BACKENDS}
    for backend, folder in folders.items():
        work(backend, "train", folder)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("network", ["published", "usual"])
def test_twenty_steps_agree(trained, network):
    one, other = (np.load(trained[b] / "arrays.npz") for b in BACKENDS)
    losses, logits = f"{network}_losses", f"{network}_logits"
    np.testing.assert_allclose(one[losses], other[losses], rtol=1e-4)
    np.testing.assert_allclose(one[logits], other[logits], rtol=1e-4, atol=1e-4)
    assert one[losses][0] - one[losses][-1] > 0.01  # it trained


@pytest.mark.slow
@pytest.mark.parametrize("saved_by", BACKENDS)
def test_a_saved_model_loads_on_the_other_backend(trained, saved_by, tmp_path):
    (reader,) = set(BACKENDS) - {saved_by}
    for network in ("published", "usual"):
        work(reader, "load", tmp_path, trained[saved_by] / f"{network}.keras")
        expected = np.load(trained[saved_by] / "arrays.npz")[
            f"{network}_logits"
        ]
        loaded = np.load(tmp_path / f"{network}.npy")
        np.testing.assert_allclose(loaded, expected, rtol=1e-4, atol=1e-5)
