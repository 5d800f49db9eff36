"""Tests for tiny_gpt/runtime/environment.py."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.runtime.devices import choose_devices
from tiny_gpt.runtime.environment import (
    current_precision,
    describe_environment,
    is_out_of_memory,
    set_precision,
)
from tiny_gpt.train import run

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()
QUICK = dataclasses.replace(
    TINY,
    evaluation=dataclasses.replace(
        TINY.evaluation, num_loss_windows=0, exact_demonstrations=(1,)
    ),
    task=dataclasses.replace(TINY.task, pivots=()),
)


@pytest.fixture(autouse=True)
def _leave_float32():
    yield
    set_precision("float32")


def products_are_exact():
    if BACKEND == "jax":
        import jax

        return jax.config.jax_default_matmul_precision == "highest"
    import tensorflow as tf

    return not tf.config.experimental.tensor_float_32_execution_enabled()


def test_float32_means_float32():
    set_precision("default")
    assert not products_are_exact()
    assert current_precision() == "default"
    set_precision("float32")
    assert products_are_exact()
    assert current_precision() == "float32"


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision='float8'"):
        set_precision("float8")


def test_in_mixed_precision_layers_compute_in_bfloat16_alone():
    set_precision("mixed_bfloat16")
    assert current_precision() == "mixed_bfloat16"
    assert products_are_exact()
    model = GPTConfig(vocabulary_size=600, num_heads=2, head_dim=4).build()
    assert model.get_layer("block_0").compute_dtype == "bfloat16"
    assert model.get_layer("head").compute_dtype == "float32"
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    # bfloat16 has 8 bits of fraction: 257 would be 256.
    pair = np.array([[256, 1], [257, 1]], "int32")
    logits = keras.ops.convert_to_numpy(model(pair))
    assert logits.dtype == "float32"
    assert abs(logits[0] - logits[1]).max() > 1e-3


@pytest.mark.slow
def test_a_run_trains_in_mixed_precision_and_float32_stays_what_it_was():
    def losses(precision):
        set_precision(precision)
        found = run(QUICK, 1)
        values = found.metrics.query("metric == 'loss'")["value"].to_numpy()
        return values, found.model

    before, _ = losses("float32")
    mixed, model = losses("mixed_bfloat16")
    after, _ = losses("float32")
    np.testing.assert_array_equal(before, after)
    assert model.get_layer("block_0").compute_dtype == "bfloat16"
    assert mixed[0] - mixed[-1] > 0.1
    # bfloat16 rounds at 2^-9: it shows, and is not far off.
    assert 1e-5 < abs(mixed - before).max() < 0.05


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="programs are for JAX")
def test_threads_have_the_precision_of_the_process():
    from tiny_gpt.training.many_seeds import run_seeds

    set_precision("mixed_bfloat16")
    (found,) = run_seeds(QUICK, [1])
    assert found.model.get_layer("block_0").compute_dtype == "bfloat16"
    alone = run(QUICK, 1)
    values = [
        r.metrics.query("metric == 'loss'")["value"] for r in (found, alone)
    ]
    np.testing.assert_allclose(*values, rtol=1e-2)


def test_a_description_names_devices_memory_and_versions():
    chosen = choose_devices("cpu", 1)
    description = describe_environment(chosen)
    assert description["backend"] == BACKEND
    assert any("cpu" in name.lower() for name in description["devices"])
    assert description["num_devices"] == 1
    assert description["devices_asked"]["devices"] == "cpu"
    assert description["memory"]["host"] > 2**28
    assert description["precision"] == current_precision()
    assert description["versions"]["keras"] == keras.__version__
    assert "num_devices" not in describe_environment()


def allocate_too_much():
    if BACKEND == "jax":
        import jax.numpy as jnp

        return jnp.zeros(2**46).block_until_ready()
    import tensorflow as tf

    return tf.random.uniform((2**23, 2**23))


def test_used_up_memory_is_known_as_such():
    with pytest.raises(Exception) as caught:  # noqa: PT011
        allocate_too_much()
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("INTERNAL: something else"))
