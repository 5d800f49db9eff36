"""TensorFlow's wheel for TPUs, on a machine that has none.

`make test-tf-tpu` has it in an environment of its own. The wheel lowers for a
TPU here; what a TPU makes of it is not seen.
"""

import importlib.metadata
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from tiny_gpt.runtime.checks import has_package

if not has_package("tensorflow-tpu"):
    pytest.skip("needs the wheel for TPUs", allow_module_level=True)

import tensorflow as tf

from benchmarks.accelerators.described import TPU_SETTINGS
from benchmarks.tiny_runs import TINY
from experiments import four_languages, triangle
from tiny_gpt.evaluation.greedy import DECODINGS, GreedyDecoder
from tiny_gpt.models.stepwise import reading_of
from tiny_gpt.runtime.devices import choose_devices
from tiny_gpt.runtime.environment import set_precision
from tiny_gpt.train import run
from tiny_gpt.training.replicas import (
    ClipAfterSum,
    MeanOverReplicas,
    filled_windows,
)
from tiny_gpt.training.run_setup import set_up_run
from tiny_gpt.training.update import compile_gpt

pytestmark = pytest.mark.tf_tpu
# Two logical CPUs stand for the cores of a TPU.
(CPU,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)
EXPERIMENTS = {
    "3.1 quick": (triangle.STUDY, "quick", "sparse_a_to_c"),
    "3.1 paper": (triangle.STUDY, "paper", "sparse_a_to_c"),
    "3.2 paper": (four_languages.STUDY, "paper", "sparse_pairs"),
}
# They hold other operations, or values, and are no work of the device.
STRUCTURE = {
    *("Placeholder", "NoOp", "Const", "Identity", "PartitionedCall"),
    *("StatefulPartitionedCall", "If", "While", "StatelessIf"),
    *("StatelessWhile", "_Arg", "_Retval", "Switch", "Merge"),
    "SymbolicGradient",
}
PRODUCT = re.compile(r" (?:dot|convolution)\(.*")


@pytest.fixture(autouse=True)
def _float32():
    set_precision("float32")


@pytest.fixture(scope="module", params=EXPERIMENTS)
def built(request):
    study, preset, condition = EXPERIMENTS[request.param]
    experiment = study.build(preset, condition)
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    return experiment, model


def decoders(experiment, model):
    """Yields each decoder with the shape of its prompts."""
    network, num_tokens = experiment.model, experiment.task.answer_length
    sizes = network.vocabulary_size, network.sequence_length
    for mode in DECODINGS:
        decoder = GreedyDecoder(model, mode, num_tokens, *sizes)
        length = network.sequence_length
        length -= 0 if mode == "published" else num_tokens - 1
        yield getattr(decoder, f"_generate_{mode}"), (64, length)


def test_it_is_the_wheel_and_can_be_imported():
    """With libtpu of today it aborts; setup.cfg keeps to older ones."""
    assert importlib.metadata.version("tensorflow-tpu") == tf.__version__
    version = importlib.metadata.version("libtpu")
    assert tuple(map(int, version.split("."))) < (0, 0, 32)
    # Loaded as on a TPU, in a process of its own, since it may abort.
    environment = {k: v for k, v in os.environ.items() if "TPU" not in k}
    environment |= TPU_SETTINGS  # or it asks a server of Google's for minutes
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import tensorflow as tf; print(tf.__version__)",
        ],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == tf.__version__


@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_run_has_the_losses_of_jax(num_devices):
    """Questions are asked of a copy beside the replicas, without XLA."""
    placement = choose_devices("cpu", num_devices)
    assert placement.num_devices == num_devices
    done = run(TINY, 0, placement=placement if num_devices > 1 else None)
    losses = done.metrics.query("metric == 'loss'")["value"]
    np.testing.assert_allclose(losses, TINY_LOSSES, rtol=1e-4)
    answers = done.metrics.query("metric == 'probability'")
    assert len(answers)
    assert answers["value"].between(0, 1).all()


# Of JAX, on a CPU; `test_run_all` compares backends run by run.
TINY_LOSSES = [2.82061, 2.35648, 2.0284, 1.87118]


def operations_of(function, *args):
    concrete = tf.function(function, autograph=False).get_concrete_function(
        *args
    )
    graph = concrete.graph.as_graph_def()
    inside = (node for f in graph.library.function for node in f.node_def)
    return [*graph.node, *inside]


def without_kernel(nodes):
    """Returns operations that have no kernel of a TPU for their types."""
    from tensorflow.python.framework import kernels

    missing = set()
    for node in nodes:
        if node.op in STRUCTURE:
            continue
        found = kernels.get_registered_kernels_for_op(node.op).kernel
        found = [k for k in found if k.device_type == "XLA_TPU_JIT"]
        if not any(_takes(kernel, node) for kernel in found):
            missing.add(node.op)
    return missing


def _takes(kernel, node):
    for constraint in kernel.constraint:
        types = constraint.allowed_values.list.type
        given = node.attr[constraint.name].type
        if types and given and given not in types:
            return False
    return True


@pytest.fixture(scope="module", autouse=True)
def _registry():
    """Kernels of a TPU are registered when something is lowered for one."""

    @tf.function(jit_compile=True)
    def add(x):
        return x + 1

    lower = add.experimental_get_compiler_ir(tf.ones(3))
    assert lower(stage="hlo", platform_name="TPU")


def test_every_operation_has_a_kernel(built):
    experiment, model = built
    size, length = experiment.train.batch_size, experiment.model.sequence_length
    ids = tf.TensorSpec((size, length), tf.int32)
    weights = tf.TensorSpec((size, length), tf.float32)
    nodes = operations_of(lambda x, y: model.train_step((x, y)), ids, ids)
    for generate, shape in decoders(experiment, model):
        nodes += operations_of(generate, tf.TensorSpec(shape, tf.int32))
    replicated = experiment.model.build()
    replicated.compile(
        optimizer=ClipAfterSum(1e-4, 1.0), loss=MeanOverReplicas()
    )
    replicated.optimizer.build(replicated.trainable_variables)
    nodes += operations_of(
        lambda x, y, w: replicated.train_step((x, y, w)), ids, ids, weights
    )
    assert len(nodes) > 1000
    assert without_kernel(nodes) == set()


def test_an_operation_without_a_kernel_is_found():
    nodes = operations_of(
        lambda x: tf.linalg.eig(x)[0], tf.TensorSpec((3, 3), tf.float32)
    )
    assert without_kernel(nodes) == {"Eig"}


def lowered(model, function, *args):
    """Lowers a function of a model for a TPU, weights as arguments."""
    variables = list(model.variables)

    @tf.function(jit_compile=True, autograph=False)
    def stateless(values, *args):
        pairs = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return function(values, *args)

    values = [tf.constant(v.numpy()) for v in variables]
    lower = stateless.experimental_get_compiler_ir(values, *args)
    text = lower(stage="hlo", platform_name="TPU")
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def gradients(model):
    def function(values, inputs, targets):
        with tf.GradientTape() as tape:
            tape.watch(values)
            pairs = list(zip(model.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=pairs):
                outputs = model(inputs, training=True)
                loss = model.compute_loss(inputs, targets, outputs)
        found = tape.gradient(loss, values)
        return [loss, *map(tf.convert_to_tensor, found)]

    return function


def check(text, is_exact=True):
    products = PRODUCT.findall(text)
    assert products
    exact = ["operand_precision={highest,highest}" in p for p in products]
    assert all(exact) if is_exact else not any(exact)
    assert "[<=" not in text  # no dimension depends on values
    assert "f64[" not in text
    assert "custom_call_target" not in text


def test_programs_are_lowered_in_true_float32(built):
    experiment, model = built
    size, length = experiment.train.batch_size, experiment.model.sequence_length
    ids = tf.zeros((size, length), tf.int32)
    check(lowered(model, gradients(model), ids, ids))
    for generate, shape in decoders(experiment, model):
        prompts = tf.zeros(shape, tf.int32)
        check(lowered(model, lambda _, x, g=generate: g(x), prompts))
    num_tokens = experiment.task.answer_length
    reading = reading_of(model)
    check(
        lowered(
            model,
            lambda _, x: reading.logits_at(
                x, length - num_tokens - 1, num_tokens
            ),
            tf.zeros((420, length - 1), tf.int32),
        )
    )


def test_float32_is_a_choice():
    experiment = triangle.STUDY.build("quick", "sparse_a_to_c")
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    set_precision("default")
    ids = tf.zeros((4, experiment.model.sequence_length), tf.int32)
    check(lowered(model, gradients(model), ids, ids), is_exact=False)


def test_each_replica_knows_the_shape_of_its_share():
    placement = choose_devices("cpu", 2)
    setup = set_up_run(TINY, 0)
    windows = filled_windows(setup.windows, TINY.train.batch_size, placement)
    shared = placement.strategy.experimental_distribute_dataset(windows)
    for spec in shared.element_spec:
        for share in spec._value_specs:  # of each replica
            assert share.shape.is_fully_defined()
