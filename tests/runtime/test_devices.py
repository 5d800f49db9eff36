"""Tests for tiny_gpt/runtime/devices.py, on a machine without GPU and TPU."""

import keras
import pytest

from tiny_gpt.experiment import TrainConfig
from tiny_gpt.runtime import devices
from tiny_gpt.runtime.devices import choose_devices
from tiny_gpt.training.update import check_clipping

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()
needs_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="an option of TensorFlow"
)


def has(kind):
    if BACKEND == "jax":
        import jax

        return any(d.platform == kind for d in jax.devices())
    import tensorflow as tf

    return bool(tf.config.list_physical_devices(kind.upper()))


def test_the_cpu_is_one_device():
    chosen = choose_devices("cpu", num_devices=1)
    assert (chosen.kind, chosen.num_devices) == ("cpu", 1)
    assert not chosen.is_replicated
    assert "cpu" in chosen.names[0].lower()
    assert chosen.asked == {"devices": "cpu", "num_devices": 1, "tpu": None}


def test_auto_is_what_is_there():
    kinds = [kind for kind in ("tpu", "gpu") if has(kind)]
    assert choose_devices().kind == [*kinds, "cpu"][0]


@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_a_missing_device_is_refused_and_not_replaced(kind):
    if has(kind):
        pytest.skip(f"this machine has a {kind}")
    with pytest.raises(ValueError, match=f"devices='{kind}' on {BACKEND}"):
        choose_devices(kind)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("cuda",), "devices='cuda'"),
        (("auto", 0), "num_devices=0"),
        (("cpu", 4096), "num_devices=4096, of which there are 1"),
        (("cpu", None, "local"), "needs devices='tpu'"),
    ],
)
def test_what_cannot_be_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        choose_devices(*arguments)


@pytest.mark.skipif(BACKEND != "jax", reason="TensorFlow has the option")
def test_jax_finds_tpus_by_itself():
    with pytest.raises(ValueError, match="tpu='local' on jax"):
        choose_devices("tpu", tpu="local")


@needs_tensorflow
def test_a_local_tpu_needs_its_tensorflow():
    with pytest.raises(ValueError, match=r"'tiny_gpt\[tf-tpu\]'"):
        choose_devices("tpu", tpu="local")


@needs_tensorflow
@pytest.mark.parametrize(
    ("tpu", "rule"),
    [
        ("My TPU", "name of a TPU VM"),
        ("10.0.0.2:8470", "TPU nodes, which Google has ended"),
        ("grpc://10.0.0.2:8470", "TPU nodes, which Google has ended"),
    ],
)
def test_what_is_no_name_of_a_tpu_is_refused(tpu, rule):
    with pytest.raises(ValueError, match=rule):
        choose_devices(tpu=tpu)


@needs_tensorflow
def test_a_tpu_that_fails_is_named(monkeypatch):
    import tensorflow as tf

    def fail(tpu):
        raise OSError("no such\nTPU")

    resolvers = tf.distribute.cluster_resolver
    monkeypatch.setattr(resolvers, "TPUClusterResolver", fail)
    with pytest.raises(ValueError, match="tpu='my-tpu', which says: no such T"):
        choose_devices("tpu", tpu="my-tpu")


def test_clipping_per_replica_needs_replicas():
    config = TrainConfig(clipping="per_replica")
    for chosen in (None, choose_devices("cpu", 1)):
        check_clipping(TrainConfig(), chosen)
        with pytest.raises(ValueError, match="num_devices=1"):
            check_clipping(config, chosen)
    two = devices.Placement("gpu", ("a", "b"))
    if BACKEND == "tensorflow":
        check_clipping(config, two)
    else:
        with pytest.raises(ValueError, match="on jax, num_devices=2"):
            check_clipping(config, two)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX would wait")
def test_several_hosts_need_jax():
    with pytest.raises(ValueError, match="KERAS_BACKEND='tensorflow'"):
        devices.join_hosts()
