"""Targets that are not scored, on several virtual devices of a CPU.

The number of devices changes nothing; see `test_many_devices.py`. Shares of a
batch have different numbers of scored targets.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.pages import device_cases

pytestmark = pytest.mark.devices

WORKER = Path(__file__).parents[1] / "helpers" / "unscored_worker.py"
CASES = {
    "jax": ["one_seed:1", "one_seed:4", "fit:1", "fit:4"],
    "tensorflow": ["fit:1", "fit:2"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results of all cases, by backend."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_cases, "WORKER", WORKER)
        patch.setattr(device_cases, "CASES", CASES)
        return device_cases.train_all(tmp_path_factory.mktemp("devices"))


@pytest.mark.parametrize(
    ("backend", "case", "reference"),
    [
        ("jax", "one_seed:4", "one_seed:1"),
        ("jax", "fit:1", "one_seed:1"),
        ("jax", "fit:4", "fit:1"),
        ("tensorflow", "fit:2", "fit:1"),
    ],
)
def test_the_number_of_devices_changes_nothing(
    trained, backend, case, reference
):
    arrays = trained[backend]
    found, expected = (arrays[f"{x}:losses"] for x in (case, reference))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(
        arrays[f"{case}:logits"], arrays[f"{reference}:logits"], atol=1e-4
    )
    assert (found[:, 0] - found[:, -1] > 0.1).all()  # it trained
