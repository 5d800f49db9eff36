"""Tests for tiny_gpt/models/regression.py."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.recurrent import GRUConfig
from tiny_gpt.models.regression import RegressionConfig, interleave

pytestmark = pytest.mark.backend

DIM, NUM_PAIRS = 2, 4
LENGTH = 2 * NUM_PAIRS - 1
SIZES = {"vocabulary_size": DIM + 1, "sequence_length": LENGTH}
GPT = GPTConfig(
    **SIZES, num_heads=2, head_dim=4, normalization="pre", num_unused_classes=0
)
NETWORKS = {
    "gpt": GPT,
    "gpt_sinusoidal": dataclasses.replace(GPT, positions="sinusoidal"),
    "gru": GRUConfig(
        **SIZES, hidden_dim=8, intermediate_dim=16, positions="none"
    ),
}
each_network = pytest.mark.parametrize(
    "network", NETWORKS.values(), ids=NETWORKS
)


def build(config, seed=0):
    model = config.build()
    initialise_weights(model, np.random.default_rng(seed))
    return model


def answers(model, rows):
    return np.asarray(ops.convert_to_numpy(model(rows)))


def windows(number=3, num_pairs=NUM_PAIRS):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(number, num_pairs, DIM))
    return x, rng.normal(size=(number, num_pairs))


def test_rows_by_hand():
    x = np.array([[[1, 2], [3, 4], [5, 6]]])
    rows = interleave(x, np.array([[7.0, 8.0, 9.0]]))
    expected = [[1, 2, 0], [0, 0, 7], [3, 4, 0], [0, 0, 8], [5, 6, 0]]
    np.testing.assert_array_equal(rows, [expected])
    assert rows.dtype == "float32"


@each_network
def test_one_hot_rows_are_tokens(network):
    # Blocks, positions and norms are those of the network itself: with its
    # weights and one column of its head, the answers are its logits of the
    # first token.
    tokens = build(network)
    rows = build(RegressionConfig(network, DIM), seed=1)
    pairs = zip(rows.weights, tokens.get_weights(), strict=True)
    for weight, value in pairs:  # in the same order
        weight.assign(value[..., :1] if "head" in weight.path else value)
    ids = np.random.default_rng(2).integers(DIM + 1, size=(3, LENGTH))
    one_hot = np.eye(DIM + 1, dtype="float32")[ids]
    logits = answers(tokens, ids.astype("int32"))
    np.testing.assert_allclose(
        answers(rows, one_hot), logits[:, ::2, 0], rtol=1e-4, atol=1e-5
    )


@each_network
def test_an_answer_depends_on_the_pairs_before_it_alone(network):
    model = build(RegressionConfig(network, DIM))
    x, y = windows()
    before = answers(model, interleave(x, y))
    assert before.shape == (3, NUM_PAIRS)
    y[:, 2:] += 1.0
    x[:, 3:] -= 1.0
    after = answers(model, interleave(x, y))
    np.testing.assert_allclose(after[:, :3], before[:, :3], atol=1e-6)
    assert (np.abs(after - before)[:, 3] > 1e-4).all()
    y[:, 0] += 1.0  # earlier pairs are read
    again = answers(model, interleave(x, y))
    np.testing.assert_allclose(again[:, 0], after[:, 0], atol=1e-6)
    assert (np.abs(again - after)[:, 1:] > 1e-4).all()


@each_network
def test_a_shorter_window_has_the_same_answers(network):
    model = build(RegressionConfig(network, DIM))
    x, y = windows()
    whole = answers(model, interleave(x, y))
    part = answers(model, interleave(x[:, :2], y[:, :2]))
    np.testing.assert_allclose(part, whole[:, :2], rtol=1e-4, atol=1e-5)


@each_network
def test_it_is_saved_whole(network, tmp_path):
    model = build(RegressionConfig(network, DIM))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    rows = interleave(*windows())
    np.testing.assert_array_equal(answers(loaded, rows), answers(model, rows))


def test_what_cannot_be_answered_is_refused():
    even = dataclasses.replace(GPT, sequence_length=LENGTH + 1)
    with pytest.raises(ValueError, match="length is odd"):
        RegressionConfig(even, DIM)
    ahead = dataclasses.replace(GPT, bidirectional=((0, 3),))
    with pytest.raises(ValueError, match="may not see later ones"):
        RegressionConfig(ahead, DIM)
    with pytest.raises(ValueError, match="`dim` must be at least 1"):
        RegressionConfig(GPT, 0)
