"""Tests for benchmarks/accelerators/rounding.py."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("programs of JAX are rewritten", allow_module_level=True)

import jax
import jax.numpy as jnp

from benchmarks.accelerators.rounding import MANTISSA_BITS, rounding_to
from tiny_gpt.runtime.backend import building_for, form
from tiny_gpt.runtime.programs import JaxProgram

X = np.random.default_rng(0).normal(size=(5, 5)).astype("float32")
Y = np.random.default_rng(1).normal(size=(5, 5)).astype("float32")


def rounded(x, bits):
    """Rounds float32 to some bits after the point, ties to even."""
    step = 2 ** (23 - bits)
    number = np.asarray(x, "float32").view("uint32").astype("int64")
    half = step // 2 - 1 + (number // step) % 2
    number = (number + half) // step * step
    return number.astype("uint32").view("float32")


def test_the_reference_rounds_to_bfloat16():
    expected = np.asarray(jnp.asarray(X, "bfloat16"), "float32")
    np.testing.assert_array_equal(rounded(X, 7), expected)


@pytest.mark.parametrize("name", MANTISSA_BITS)
def test_factors_are_rounded_and_nothing_else(name):
    bits = MANTISSA_BITS[name]
    found = jax.jit(rounding_to(name)(lambda x, y: (x @ y, x * y)))(X, Y)
    exact = rounded(X, bits).astype("float64") @ rounded(Y, bits)
    np.testing.assert_allclose(found[0], exact, rtol=1e-5, atol=1e-6)
    assert np.abs(found[0] - X @ Y).max() > 2.0 ** -(bits + 3)
    np.testing.assert_array_equal(found[1], X * Y)


LOOPS = {
    "none": lambda x, y: x @ y,
    "while": lambda x, y: jax.lax.fori_loop(
        0, jnp.int32(len(x) - 4), lambda i, s: s @ y, x
    ),
    "scan": lambda x, y: jax.lax.scan(lambda s, _: (s @ y, 0), x, None, 1)[0],
    "cond": lambda x, y: jax.lax.cond(x[0, 0] < 9, lambda: x @ y, lambda: x),
    "jit": jax.jit(lambda x, y: x @ y),
    "vmap": lambda x, y: jax.vmap(lambda row: row @ y)(x),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_products_inside_other_programs_are_rounded(loop):
    found = rounding_to("bfloat16")(LOOPS[loop])(X, Y)
    exact = rounded(X, 7).astype("float64") @ rounded(Y, 7)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


def test_gradients_are_rounded_as_they_are_computed():
    gradient = jax.grad(lambda x, y: (x @ y).sum())
    found = rounding_to("bfloat16")(gradient)(X, Y)
    exact = np.ones((5, 5)) @ rounded(Y, 7).T.astype("float64")
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


def test_programs_keep_what_they_were_built_for():
    seen = []

    def product(x, y):
        seen.append(form().platform)
        return x @ y

    with building_for("tpu", rounding_to("bfloat16")):
        program = JaxProgram(product)
    plain = JaxProgram(product)
    assert (np.asarray(program(X, Y)) != np.asarray(plain(X, Y))).any()
    assert seen == ["tpu", "cpu"]


def test_only_platforms_can_be_built_for():
    with (
        pytest.raises(ValueError, match="must be one of"),
        building_for("ipu"),
    ):
        pass
