"""Every compiled program, lowered for TPUs and GPUs that are not here."""

import functools

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("JAX lowers for other platforms", allow_module_level=True)

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh

from benchmarks.accelerators.lowered import faults_of
from benchmarks.accelerators.programs import NAMES, Programs
from experiments import four_languages, triangle
from tiny_gpt.runtime.backend import building_for
from tiny_gpt.runtime.environment import set_precision
from tiny_gpt.runtime.programs import JaxProgram

EXPERIMENTS = {
    "triangle": (triangle.STUDY, "sparse_a_to_c"),
    "four languages": (four_languages.STUDY, "sparse_pairs"),
}
PLATFORMS = {"tpu": "tpu", "gpu": "cuda"}  # what JAX calls them
EIGHT = AbstractMesh((8,), ("windows",))


@pytest.fixture
def float32():
    set_precision("float32")
    yield
    set_precision("default")


@functools.cache
def programs_of(experiment, preset, platform):
    study, condition = EXPERIMENTS[experiment]
    with building_for(platform):
        return Programs(study.build(preset, condition))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_program_can_be_compiled_elsewhere(
    experiment, preset, platform, name, float32
):
    programs = programs_of(experiment, preset, platform)
    with building_for(platform):
        case = programs.case(name, devices=EIGHT)
        exported = case.program.exported(PLATFORMS[platform], *case.args)
    assert faults_of(exported.mlir_module()) == []
    assert exported.nr_devices == (8 if name == "divided epoch" else 1)


def text_of(function, *args):
    return JaxProgram(function).exported("tpu", *args).mlir_module()


X = np.ones((4, 4), "float32")


def test_exact_products_have_no_fault(float32):
    assert faults_of(text_of(jnp.matmul, X, X)) == []


def test_products_are_inexact_by_default():
    (fault,) = faults_of(text_of(jnp.matmul, X, X))
    assert fault == "1 of 1 products are not exact"
    assert faults_of(text_of(jnp.matmul, X, X), is_exact=False) == []


def test_64_bits_are_found(float32):
    with jax.enable_x64():
        text = text_of(lambda x: x.astype("float64") @ X.astype("float64"), X)
    assert "numbers of 64 bits: tensor<4x4xf64>" in faults_of(text)


def test_calls_of_other_code_are_found(float32):
    text = text_of(lambda x: jnp.linalg.qr(x @ x)[0], X)
    assert any("XLA does not compile" in fault for fault in faults_of(text))


def test_shapes_that_depend_on_values_are_found(float32):
    (size,) = jax.export.symbolic_shape("n")
    rows = jax.ShapeDtypeStruct((size, 4), "float32")
    text = text_of(lambda x: x @ X, rows)
    assert "a shape depends on values" in faults_of(text)
