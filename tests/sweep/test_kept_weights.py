"""Tests for kept_weights.py: weights stay in a store where they are wanted."""

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.shared_runs import tiny_run
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.runtime.files import DamagedFileError
from tiny_gpt.sweep import store as stores
from tiny_gpt.sweep.kept_weights import forget_weights, load_model
from tiny_gpt.sweep.leftovers import partial
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

if keras.backend.backend() != "jax":
    pytest.skip("threads need JAX", allow_module_level=True)


def make(store):
    """Returns how many runs of a sweep of one were made."""
    sweep = tiny_sweep({"epochs": [4]}, seeds=(1,), fixed={})
    outcome = run_sweep(sweep, store, lambda *task: in_process(*task, 1))
    assert not outcome.failed
    return outcome.finished


@pytest.fixture
def keeping(tmp_path):
    return Store(tmp_path / "store", "default", keeps_weights=True)


@pytest.fixture
def other(keeping):
    """The same store, of somebody who needs no weights."""
    return Store(keeping.folder, "default")


@pytest.mark.slow
def test_the_trained_model_is_there_and_made_once(keeping, other):
    assert load_model(keeping, TINY, 1) is None
    assert make(keeping) == 1
    found = load_model(other, TINY, 1).get_weights()
    for a, b in zip(found, tiny_run().model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)
    assert list((keeping.folder / "running").iterdir()) == []
    assert make(keeping) == make(other) == 0


@pytest.mark.slow
def test_a_run_without_weights_is_made_again_where_they_are_needed(
    keeping, other
):
    key = keeping.key(TINY)
    assert make(other) == 1
    before = other.load(key, 1)
    assert load_model(other, TINY, 1) is None
    assert keeping.seeds(key) == set()
    assert other.seeds(key) == {1}
    assert make(keeping) == 1
    after = other.load(key, 1)
    assert after.weights_hash == before.weights_hash
    assert after.logs == before.logs
    assert load_model(keeping, TINY, 1) is not None


@pytest.mark.slow
def test_forgotten_weights_go_and_the_run_stays(keeping, other):
    make(keeping)
    key = keeping.key(TINY)
    size = keeping.weights(key, 1).stat().st_size
    lease = keeping.lease(key, 1)
    assert forget_weights(other, [key]) == (0, 0)  # somebody works on it
    lease.release()
    assert forget_weights(other, ["0" * 64, key]) == (1, size)
    assert forget_weights(other, [key]) == (0, 0)
    assert other.seeds(key) == {1}
    assert load_model(other, TINY, 1) is None


def test_weights_of_another_run_are_refused(keeping):
    make(keeping)
    weights = keeping.weights(keeping.key(TINY), 1)
    model = TINY.model.build()
    model.save_weights(weights)
    with pytest.raises(DamagedFileError, match="those it ended with"):
        load_model(keeping, TINY, 1)
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DamagedFileError, match="must be whole"):
        load_model(keeping, TINY, 1)


def test_nothing_is_lost_between_weights_and_run(keeping, monkeypatch):
    # The weights are in their place, and the file of the run cannot be written.
    def no_space(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stores, "write_whole", no_space)
        with pytest.raises(OSError, match="No space"):
            make(keeping)
    key = keeping.key(TINY)
    assert keeping.weights(key, 1).exists()
    assert list(partial(keeping)) == [(key, 1)]
    trained = keeping.record(key, 1).with_name(f"{key}_seed_1.json")
    assert trained.exists()
    assert make(keeping) == 1
    assert not trained.exists()
    assert load_model(keeping, TINY, 1) is not None
