"""Tests for tiny_gpt/devices.py."""

import keras
import pytest

from tiny_gpt.devices import describe, set_precision

pytestmark = pytest.mark.backend


def products_are_exact():
    if keras.backend.backend() == "jax":
        import jax

        return jax.config.jax_default_matmul_precision == "highest"
    import tensorflow as tf

    return not tf.config.experimental.tensor_float_32_execution_enabled()


def test_float32_means_float32():
    set_precision("default")
    assert not products_are_exact()
    set_precision("float32")
    assert products_are_exact()


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision='float8'"):
        set_precision("float8")


def test_a_description_names_backend_device_and_versions():
    description = describe()
    assert description["backend"] == keras.backend.backend()
    assert any("cpu" in name.lower() for name in description["devices"])
    assert description["versions"]["keras"] == keras.__version__
