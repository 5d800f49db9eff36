"""Tests for `TrainConfig.optimizer`: plain SGD beside Adam."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.experiment import TrainConfig, config_of
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.sweep.axes import with_values
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.train import run, run_all
from tiny_gpt.training.compiled_model import shape_of
from tiny_gpt.training.run_files import state_of
from tiny_gpt.training.run_setup import Job
from tiny_gpt.training.update import compile_gpt

pytestmark = pytest.mark.backend

SGD = TrainConfig(optimizer="sgd", learning_rate=0.1)
# With zero weights both classes have probability 1/2. For the target 0 and
# the input (3, 4) the gradient of the logits is (-1/2, 1/2); that of the
# kernel, the outer product of both, has norm 5 sqrt(1/2).
X, TARGET = np.array([[3.0, 4.0]], "float32"), np.array([0])
KERNEL = np.array([[-1.5, 1.5], [-2.0, 2.0]])
BIAS = np.array([-0.5, 0.5])


def trained(config, placement=None, num_updates=1, **options):
    """Returns kernel and bias after some updates, from 0, and the model."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    compile_gpt(model, config, placement)
    model.set_weights([np.zeros((2, 2)), np.zeros(2)])
    for _ in range(num_updates):
        model.train_on_batch(X, TARGET, **options)
    return *model.get_weights(), model


def changed(**changes):
    return dataclasses.replace(
        TINY, train=dataclasses.replace(TINY.train, **changes)
    )


def test_an_update_takes_the_rate_times_the_gradient():
    config = dataclasses.replace(SGD, clipnorm=None)
    kernel, bias, model = trained(config)
    np.testing.assert_allclose(kernel, -0.1 * KERNEL, rtol=1e-6)
    np.testing.assert_allclose(bias, -0.1 * BIAS, rtol=1e-6)
    # No momentum: without a gradient nothing moves, and the state is the
    # count and the rate.
    nothing = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(nothing, model.trainable_variables)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    assert len(model.optimizer.variables) == 2
    assert len(state_of(model)) == 4


def test_each_variable_is_clipped_first():
    # The kernel's gradient is shortened to norm 1; the bias's has less.
    kernel, bias, _ = trained(SGD)
    np.testing.assert_allclose(
        kernel, -0.1 * KERNEL / (5 * np.sqrt(0.5)), rtol=1e-6
    )
    np.testing.assert_allclose(bias, -0.1 * BIAS, rtol=1e-6)


def test_weight_decay_is_decoupled():
    # Without a gradient w becomes w (1 - rate * decay) = w (1 - 0.1 * 2).
    model = trained(dataclasses.replace(SGD, weight_decay=2.0))[2]
    model.set_weights([np.full((2, 2), 3.0), np.full(2, -1.0)])
    nothing = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(nothing, model.trainable_variables)
    np.testing.assert_allclose(model.get_weights()[0], 2.4, rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], -0.8, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("clipnorm", [None, 1.0])
def test_replicas_have_the_updates_of_one_device(optimizer, clipnorm):
    # Of a strategy with one replica; with two: `make test-devices`.
    strategy = None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
    placement = Placement("cpu", ("a", "b"), strategy)
    config = dataclasses.replace(SGD, optimizer=optimizer, clipnorm=clipnorm)
    ones = np.ones(1, "float32")
    found = trained(config, placement, 2, sample_weight=ones)
    expected = trained(config, None, 2)
    for a, b in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    shapes = [[s.shape for s in state_of(m[2])] for m in (found, expected)]
    assert shapes[0] == shapes[1]


def test_optimizers_share_no_program():
    one, other = changed(), changed(optimizer="sgd")
    assert shape_of(one) != shape_of(other)
    fast = changed(optimizer="sgd", learning_rate=0.5)
    assert shape_of(other) == shape_of(fast)


def test_a_run_with_sgd_comes_out_the_same_in_both_ways():
    # Alone, and beside a run with another rate and one with Adam, with which
    # it may share nothing that it changes.
    sgd = changed(optimizer="sgd", learning_rate=0.1)
    jobs = [Job(e, 1) for e in (changed(), changed(learning_rate=0.1), sgd)]
    jobs.append(Job(changed(optimizer="sgd", learning_rate=0.2), 1))
    together = [found for _, found in sorted_runs(jobs)]
    alone = run(sgd, 1)
    for a, b in zip(
        together[2].model.get_weights(), alone.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    losses = {tuple(losses_of(found)) for found in together}
    assert len(losses) == 4
    assert losses_of(alone)[-1] < losses_of(alone)[0] - 0.05


def sorted_runs(jobs):
    done = dict(run_all(jobs, num_workers=1))
    return [(job, done[job]) for job in jobs]


def losses_of(found):
    return found.metrics.query("metric == 'loss'")["value"].to_list()


def test_a_config_with_adam_is_the_one_before_there_was_a_choice():
    assert "optimizer" not in config_of(TINY)["train"]
    sgd = changed(optimizer="sgd")
    assert config_of(sgd)["train"]["optimizer"] == "sgd"
    keys = {key_of(content_of(e, "float32")) for e in (TINY, sgd)}
    assert len(keys) == 2


def test_the_optimizer_is_an_axis_of_sweeps():
    made = with_values(
        TINY, {"train.optimizer": "sgd"}, ("tiny", "one"), "A->C"
    )
    assert made == changed(optimizer="sgd")


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match=r"one of .*optimizer='lion'"):
        TrainConfig(optimizer="lion")
