"""Tests for tiny_gpt/models/network.py: what every network must hold."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

from benchmarks.tiny_runs import TINY
from tests.helpers.forward import forward
from tiny_gpt.evaluation.greedy import GreedyDecoder
from tiny_gpt.experiment import config_of
from tiny_gpt.models.gmlp import GMLPConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.kernel_attention import LinearAttentionConfig
from tiny_gpt.models.min_gru import MinGRUConfig
from tiny_gpt.models.recurrent import GRUConfig, LSTMConfig
from tiny_gpt.models.state_space import StateSpaceConfig
from tiny_gpt.models.stepwise import CachedBlocks, has_cache, reading_of
from tiny_gpt.runtime.programs import compile_for_model
from tiny_gpt.train import run

pytestmark = pytest.mark.backend

SIZES = {
    "vocabulary_size": TINY.model.vocabulary_size,
    "sequence_length": TINY.model.sequence_length,
}
WIDTH = {"hidden_dim": 8, "intermediate_dim": 12}
NETWORKS = {
    "gpt": GPTConfig(
        **SIZES, num_heads=2, head_dim=4, normalization="pre", dropout=0.0
    ),
    "gru": GRUConfig(**SIZES, **WIDTH),
    "lstm": LSTMConfig(**SIZES, **WIDTH),
    "min_gru": MinGRUConfig(**SIZES, **WIDTH),
    "linear_attention": LinearAttentionConfig(
        **SIZES, **WIDTH, num_heads=2, head_dim=4
    ),
    "state_space": StateSpaceConfig(
        **SIZES, **WIDTH, num_heads=2, state_size=3
    ),
    "gmlp": GMLPConfig(**SIZES, **WIDTH, gate_dim=6),
}
IS_JAX = keras.backend.backend() == "jax"


@pytest.fixture(params=NETWORKS)
def config(request):
    return NETWORKS[request.param]


def built(config, scale=0.5):
    """Returns a network whose outputs are far from uniform."""
    model = config.build()
    initialise_weights(model, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    for v in model.trainable_variables:
        own = np.asarray(ops.convert_to_numpy(v))
        v.assign(own + rng.normal(scale=scale, size=v.shape))
    return model


def tokens_of(num_windows, length, seed=3):
    rng = np.random.default_rng(seed)
    return rng.integers(1, SIZES["vocabulary_size"], (num_windows, length))


@pytest.mark.parametrize("num_windows", [2, 16])  # the usual form, the fast one
def test_a_position_sees_those_up_to_it_and_no_other(config, num_windows):
    length = SIZES["sequence_length"]
    model, tokens = built(config), tokens_of(num_windows, length)
    before = forward(model, tokens)
    assert before.shape[:2] == tokens.shape
    place = length // 2
    changed = tokens.copy()
    changed[:, place] = changed[:, place] % (SIZES["vocabulary_size"] - 1) + 1
    assert (changed[:, place] != tokens[:, place]).all()
    after = forward(model, changed)
    np.testing.assert_allclose(
        after[:, :place], before[:, :place], rtol=1e-5, atol=1e-5
    )
    difference = np.abs(after - before).max(axis=(0, 2))
    assert difference[place] > 1e-2
    assert difference[place + 1] > 1e-3  # it is not forgotten at once


def test_a_shorter_text_is_the_beginning_of_a_longer_one(config):
    model, tokens = built(config), tokens_of(3, SIZES["sequence_length"])
    np.testing.assert_allclose(
        forward(model, tokens[:, :6]),
        forward(model, tokens)[:, :6],
        rtol=1e-4,
        atol=1e-5,
    )


def test_position_by_position_it_says_what_it_says_at_once(config):
    model = built(config)
    assert has_cache(model)
    reading = reading_of(model)
    assert isinstance(reading, CachedBlocks)
    tokens = tokens_of(3, 12)

    def read(tokens):
        logits, cache = reading.read(tokens[:, :5], 7)
        found = [logits]
        for position in range(5, 12):
            ids, place = tokens[:, position], ops.convert_to_tensor(position)
            logits, cache = reading.read_one(ids, place, cache)
            found.append(logits)
        rows = reading.logits_at(tokens, 4, 8)
        return ops.concatenate(found, axis=1), rows

    expected = forward(model, tokens)[:, 4:]
    for found in compile_for_model(model, read)(model, tokens):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found), expected, rtol=1e-4, atol=1e-4
        )


def test_it_decodes_with_its_state_as_without(config):
    model, prompts = built(config), tokens_of(40, 5)
    ids = [
        GreedyDecoder(model, decoding, 4, *SIZES.values())(prompts)
        for decoding in ("cached", "aligned")
    ]
    np.testing.assert_array_equal(*ids)
    assert len({tuple(answer) for answer in ids[0]}) > 5  # it can fail


def test_the_state_has_the_size_that_is_stated(config):
    model, length = built(config), SIZES["sequence_length"]
    tokens = ops.convert_to_tensor(tokens_of(1, 4).astype("int32"))
    _, cache = reading_of(model).read(tokens, length - 4)
    sizes = [np.prod(x.shape) for state in cache for x in state]
    assert sum(sizes) == config.count_state()


def test_one_seed_is_one_network(config):
    first, second = config.build(), config.build()
    for model in (first, second):
        initialise_weights(model, np.random.default_rng(7))
    weights = [
        [ops.convert_to_numpy(v) for v in model.trainable_variables]
        for model in (first, second)
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    # On every backend: these are NumPy's numbers.
    total = sum(float(np.abs(w.astype("float64")).sum()) for w in weights[0])
    assert total == pytest.approx(SUMS[type(config)], rel=1e-6)


SUMS = {
    GPTConfig: 457.39168016779877,
    GRUConfig: 328.48832213091373,
    LSTMConfig: 373.131107127032,
    MinGRUConfig: 299.93265619224985,
    LinearAttentionConfig: 341.07234417625295,
    StateSpaceConfig: 470.7676511083482,
    GMLPConfig: 322.84285153264693,
}


def test_it_is_saved_and_loaded(config, tmp_path):
    model, tokens = built(config), tokens_of(2, 9)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert has_cache(loaded)
    np.testing.assert_array_equal(
        forward(loaded, tokens), forward(model, tokens)
    )


def test_configs_of_two_networks_differ():
    keys = {
        str(config_of(dataclasses.replace(TINY, model=config)))
        for config in NETWORKS.values()
    }
    assert len(keys) == len(NETWORKS)


@pytest.mark.slow
def test_it_trains_and_is_evaluated_exactly(config):
    experiment = dataclasses.replace(TINY, model=config)
    alone = run(experiment, 1).metrics
    losses = alone.query("metric == 'loss'")["value"].to_numpy()
    assert losses[-1] < losses[0] - 0.1
    exact = alone.query("metric == 'log_probability'")["value"]
    assert len(exact) > 0
    assert np.isfinite(exact).all()
    if not IS_JAX:
        return
    from tiny_gpt.training.many_seeds import run_seeds

    for options in ({"num_workers": 1}, {"seeds_per_batch": 2}):
        found = next(iter(run_seeds(experiment, [1, 2], **options))).metrics
        pd.testing.assert_frame_equal(
            found.drop(columns="value"), alone.drop(columns="value")
        )
        np.testing.assert_allclose(
            found.query("metric == 'loss'")["value"], losses, rtol=1e-4
        )


@pytest.mark.parametrize("name", ["epoch of many seeds", "decoder, cached"])
@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_its_programs_can_be_compiled_elsewhere(platform, name, config):
    if not IS_JAX:
        pytest.skip("JAX lowers for other platforms")
    from benchmarks.accelerators.lowered import faults_of
    from benchmarks.accelerators.programs import Programs
    from tiny_gpt.runtime.backend import building_for

    experiment = dataclasses.replace(TINY, model=config)
    with building_for({"cuda": "gpu"}.get(platform, platform)):
        case = Programs(experiment).case(name)
        exported = case.program.exported(platform, *case.args)
    assert faults_of(exported.mlir_module(), is_exact=False) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"hidden_dim": 0}, "hidden_dim=0"),
        ({"intermediate_dim": 1.5}, "intermediate_dim=1.5"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"activation": "gello"}, "activation='gello'"),
        ({"normalization": "none"}, "normalization='none'"),
    ],
)
def test_an_impossible_config_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        GRUConfig(**changes)
