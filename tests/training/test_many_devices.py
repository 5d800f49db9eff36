"""The number of devices changes nothing, on virtual devices of a CPU.

Measured: docs/devices. Weights are not compared: the
bias of the key projection has no gradient but rounding noise, which Adam
makes as large as any.
"""

import numpy as np
import pytest

from benchmarks.pages.device_cases import train_all

pytestmark = pytest.mark.devices


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results of all cases, by backend."""
    return train_all(tmp_path_factory.mktemp("devices"))


def assert_same(arrays, case, reference):
    losses, logits = (f"{case}:{x}" for x in ("losses", "logits"))
    np.testing.assert_allclose(
        arrays[losses], arrays[f"{reference}:losses"], rtol=2e-6
    )
    np.testing.assert_allclose(  # of the copy that is asked
        arrays[f"{case}:norms"], arrays[f"{reference}:norms"], rtol=1e-5
    )
    np.testing.assert_allclose(
        arrays[logits], arrays[f"{reference}:logits"], atol=2e-5
    )
    fall = arrays[losses][:, 0] - arrays[losses][:, -1]
    assert (fall > 0.3).all()  # it trained


@pytest.mark.parametrize("num_devices", [2, 4, 8])
def test_seeds_are_dealt_to_devices(trained, num_devices):
    case = f"eight_seeds:{num_devices}"
    assert_same(trained["jax"], case, "eight_seeds:1")
    # Devices, whether batches are divided, and devices that held a state.
    facts = trained["jax"][f"{case}:facts"].tolist()
    assert facts == [num_devices, 0, num_devices]


@pytest.mark.parametrize("num_devices", [2, 4, 8])
def test_one_run_divides_its_batches(trained, num_devices):
    # 6 windows of a batch and 3 of the last are filled up to 8 on 8 devices.
    case = f"one_seed:{num_devices}"
    assert_same(trained["jax"], case, "one_seed:1")
    assert trained["jax"][f"{case}:facts"].tolist() == [
        num_devices,
        1,
        num_devices,
    ]
    assert trained["jax"]["one_seed:1:facts"].tolist() == [1, 0, 1]


def test_fit_divides_its_batches_on_jax(trained):
    assert_same(trained["jax"], "fit:4", "fit:1")
    assert_same(trained["jax"], "fit:4", "one_seed:1")


def test_fit_divides_its_batches_on_tensorflow(trained):
    assert_same(trained["tensorflow"], "fit:2", "fit:1")


def test_sgd_divides_its_batches_on_tensorflow(trained):
    # Clipped hard: the sum of clipped gradients would be another.
    assert_same(trained["tensorflow"], "fit_sgd:2", "fit_sgd:1")


def test_a_run_on_several_devices_continues(trained):
    assert_same(trained["tensorflow"], "fit_continued:2", "fit:1")


@pytest.mark.parametrize("other", ["fit_per_replica:2", "fit_unclipped:1"])
def test_where_gradients_are_clipped_can_be_seen(trained, other):
    # Or else the tests above would not see it either.
    arrays = trained["tensorflow"]
    one, two = arrays["fit:1:losses"], arrays[f"{other}:losses"]
    assert (abs(one - two) / one).max() > 1e-3
