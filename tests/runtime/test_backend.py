"""Tests for the one function that tells platforms apart."""

import subprocess
import sys
from types import SimpleNamespace

import keras
import pytest

from tiny_gpt.runtime import settings
from tiny_gpt.runtime.backend import (
    CPU_OPTIONS,
    building_for,
    dividing,
    form,
    target,
)
from tiny_gpt.runtime.programs import memory_needed

IS_JAX = keras.backend.backend() == "jax"
pytestmark = pytest.mark.backend


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_other_platforms_have_the_form_of_the_layers_of_keras(platform):
    with building_for(platform):
        found = form()
        assert found == form("cpu")  # what is named wins
    assert found.platform == platform
    assert not found.has_fast_layers
    assert not found.has_thread_per_run
    assert found.compiler_options == {}
    assert found.has_xla


def test_a_cpu_has_fast_layers_and_threads_on_jax():
    for found in (form(), form("cpu")):
        assert found.platform == "cpu"
        assert found.has_fast_layers is IS_JAX
        assert found.has_thread_per_run is IS_JAX
        assert found.compiler_options == (CPU_OPTIONS if IS_JAX else {})
        assert found.has_xla
    assert not form("gpu").has_thread_per_run


def test_batches_that_are_divided_have_no_fast_layers():
    with dividing():
        assert not form().has_fast_layers
        assert form().has_thread_per_run is IS_JAX
    assert form().has_fast_layers is IS_JAX


def test_a_context_ends():
    with building_for("tpu"):
        with building_for(None):
            assert form().platform == "cpu"
        assert form().platform == "tpu"
    assert target().platform is None


def test_memory_counts_arguments_and_results_that_stay():
    def needs(**sizes):
        analysis = SimpleNamespace(
            **{f"{name}_size_in_bytes": n for name, n in sizes.items()}
        )
        return memory_needed(SimpleNamespace(memory_analysis=lambda: analysis))

    # As on a TPU: no temporary memory, but a state that is given back.
    assert needs(argument=30, output=25, alias=20, temp=0) == 35
    assert needs(argument=30, output=25, alias=25, temp=100) == 130
    peak = SimpleNamespace(
        argument_size_in_bytes=3,
        output_size_in_bytes=2,
        alias_size_in_bytes=2,
        temp_size_in_bytes=0,
        peak_memory_in_bytes=39,
    )
    assert memory_needed(SimpleNamespace(memory_analysis=lambda: peak)) == 39
    assert memory_needed(SimpleNamespace(memory_analysis=lambda: None)) == 0


def test_settings_of_the_user_are_left(monkeypatch):
    for name in (
        *("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "NPROC"),
        *("JAX_COMPILATION_CACHE_DIR", "XLA_PYTHON_CLIENT_MEM_FRACTION"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    settings.set_up_process("jax", has_own_threads=True)
    settings.reserve_gpu_memory()
    found = settings.os.environ
    assert found["KERAS_BACKEND"] == "jax"
    assert found["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert found["JAX_COMPILATION_CACHE_DIR"] == "/cache/tiny_gpt/jax"
    assert found["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.92"
    assert "NPROC" not in found
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")
    settings.reserve_gpu_memory()
    assert found["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.5"
    settings.set_up_process("jax", has_own_threads=False)
    assert found["NPROC"] == "1"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its own")
def test_devices_can_still_be_chosen_after_the_form_was_asked_for():
    code = (
        "import tensorflow as tf\n"
        "from tiny_gpt.runtime.backend import form\n"
        "from tiny_gpt.runtime.environment import make_deterministic\n"
        "make_deterministic(), form()\n"
        "(cpu,) = tf.config.list_physical_devices('CPU')\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "assert form().has_xla\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
