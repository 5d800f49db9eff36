"""Tests for tiny_gpt/models/looped.py: blocks that share weights over depth."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

from benchmarks.tiny_runs import TINY
from tests.helpers.forward import forward
from tests.helpers.probe_models import all_heads, draw_weights
from tiny_gpt.evaluation.greedy import DECODINGS, GreedyDecoder
from tiny_gpt.experiment import config_of
from tiny_gpt.models.chain import Chain, applied_layers
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.looped import LoopedGPTConfig
from tiny_gpt.models.stepwise import CachedBlocks, has_cache, reading_of
from tiny_gpt.probes import Patch, Reader
from tiny_gpt.runtime.programs import compile_for_model, compile_gradient
from tiny_gpt.sweep.axes import has_field, with_values
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.train import run

pytestmark = pytest.mark.backend

IS_JAX = keras.backend.backend() == "jax"
SIZES = {"vocabulary_size": 11, "sequence_length": 16}
WIDTH = {"num_heads": 2, "head_dim": 4}
VARIANTS = {
    "published": {},
    "usual": {
        "normalization": "pre",
        "logit_scale": "head_dim",
        "output_activation": None,
    },
}
AAAA, ABAB = (1, 4), (2, 2)  # blocks, loops
# Of 16 sentences of 16 tokens JAX computes layers in another form on a CPU.
PLAIN, FAST = (3, 5), (16, 16)


def looped(layers_and_loops, variant="published", **changes):
    num_layers, num_loops = layers_and_loops
    return LoopedGPTConfig(
        **SIZES,
        **WIDTH,
        **VARIANTS[variant],
        **changes,
        num_layers=num_layers,
        num_loops=num_loops,
    )


def built(config):
    model = config.build()
    draw_weights(model)
    return model


def original_path(path, num_layers):
    """Path of the variable of which one in an unshared GPT is the copy."""
    first, *rest = path.split("/")
    kind, _, number = first.rpartition("_")
    if kind == "block":
        first = f"block_{int(number) % num_layers}"
    return "/".join([first, *rest])


def pair(layers_and_loops, variant="published"):
    """A looped GPT, and one with a copy of its block for each application."""
    config = looped(layers_and_loops, variant)
    model, copies = built(config), config.unshared().build()
    value_by_path = {v.path: v for v in model.variables}
    for v in copies.variables:
        v.assign(value_by_path[original_path(v.path, config.num_layers)])
    return model, copies


def tokens_of(shape):
    return np.random.default_rng(7).integers(0, 11, shape).astype("int32")


def train(config, tokens):
    """Weights and logits before and after two updates."""
    model = config.build()
    initialise_weights(model, np.random.default_rng(1))
    states = [(model.get_weights(), forward(model, tokens))]
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(2):
        model.train_on_batch(tokens[:, :-1], tokens[:, 1:])
    states.append((model.get_weights(), forward(model, tokens)))
    return [v.path for v in model.trainable_variables], states


@pytest.mark.parametrize("shape", [PLAIN, FAST], ids=str)
@pytest.mark.parametrize(
    ("variant", "dropout"), [("published", 0.0), ("usual", 0.3)]
)
def test_one_loop_is_the_gpt_to_the_bit(variant, dropout, shape):
    config = looped((2, 1), variant, dropout=dropout)
    assert type(config.unshared()) is GPTConfig
    paths, states = train(config, tokens_of(shape))
    same_paths, expected = train(config.unshared(), tokens_of(shape))
    assert paths == same_paths
    for (weights, logits), (others, other_logits) in zip(
        states, expected, strict=True
    ):
        for a, b in zip(weights, others, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(logits, other_logits)
    assert np.abs(states[0][1] - states[1][1]).max() > 1e-3  # it was trained


@pytest.mark.parametrize("layers_and_loops", [AAAA, ABAB], ids=str)
def test_the_weights_are_those_of_one_chain(layers_and_loops):
    config = looped(layers_and_loops)
    model = config.build()
    once = dataclasses.replace(config, num_loops=1).unshared().build()
    for each in (model, once):
        initialise_weights(each, np.random.default_rng(1))
    assert model.count_params() == once.count_params()
    assert [v.path for v in model.variables] == [v.path for v in once.variables]
    for a, b in zip(model.get_weights(), once.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [PLAIN, FAST], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layers_and_loops", [AAAA, ABAB], ids=str)
def test_a_loop_is_a_copy_of_the_chain(layers_and_loops, variant, shape):
    model, copies = pair(layers_and_loops, variant)
    tokens = tokens_of(shape)
    expected = forward(copies, tokens)
    np.testing.assert_allclose(
        forward(model, tokens), expected, rtol=1e-4, atol=1e-4
    )
    once = dataclasses.replace(looped(layers_and_loops, variant), num_loops=1)
    other = forward(built(once), tokens)  # the same weights
    assert np.abs(other - expected).max() > 0.1


@pytest.mark.parametrize("shape", [PLAIN, FAST], ids=str)
@pytest.mark.parametrize("layers_and_loops", [AAAA, ABAB], ids=str)
def test_gradients_are_the_sums_over_copies(layers_and_loops, shape):
    num_layers, num_loops = layers_and_loops
    tokens = tokens_of(shape)
    factors = np.random.default_rng(8).normal(size=(*shape, 12))

    def gradients(model):
        def total(tokens, factors):
            return ops.sum(model(tokens) * factors)

        found = compile_gradient(model, total)(
            model, tokens, factors.astype("float32")
        )
        paths = [v.path for v in model.trainable_variables]
        arrays = map(ops.convert_to_numpy, found)
        return dict(zip(paths, arrays, strict=True))

    model, copies = pair(layers_and_loops, "usual")
    parts = {}
    for path, value in gradients(copies).items():
        parts.setdefault(original_path(path, num_layers), []).append(value)
    for path, found in gradients(model).items():
        is_block = path.startswith("block_")
        assert len(parts[path]) == (num_loops if is_block else 1)
        if path.endswith("key/bias"):  # moves all scores of a position alike
            continue
        expected = np.sum(parts[path], axis=0)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            found, expected, rtol=1e-3, atol=1e-4 * largest
        )
        if is_block:  # no copy gives it alone
            assert np.abs(found - parts[path][-1]).max() > 0.01 * largest


def test_the_order_of_application_is_that_of_the_graph():
    model = looped(ABAB).build()
    names = [layer.name for layer in applied_layers(model)]
    blocks = ["block_0", "block_1"]
    assert names == ["embedding", *blocks, *blocks, "head"]
    assert [x.name for x in model.layers[1:]] == ["embedding", *blocks, "head"]
    x = keras.Input((3,))
    fork = keras.Model(x, keras.layers.Add()([x, keras.layers.Dense(3)(x)]))
    empty = keras.Sequential([keras.layers.Dense(3)])
    for no_chain in (fork, empty, keras.Model(x, [x, x])):
        assert applied_layers(no_chain) == []


@pytest.mark.parametrize("shape", [PLAIN, FAST], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layers_and_loops", [AAAA, ABAB], ids=str)
def test_the_cache_gives_the_logits_of_whole_passes(
    layers_and_loops, variant, shape
):
    model = built(looped(layers_and_loops, variant))
    reading, tokens = reading_of(model), tokens_of(shape)
    assert isinstance(reading, CachedBlocks)
    num_prompt = shape[1] - 2

    def read(tokens):
        logits, cache = reading.read(tokens[:, :num_prompt], 2)
        assert len(cache) == 4  # of each application its own
        found = [logits]
        for position in (num_prompt, num_prompt + 1):
            ids, position = tokens[:, position], ops.convert_to_tensor(position)
            logits, cache = reading.read_one(ids, position, cache)
            found.append(logits)
        rows = reading.logits_at(tokens, num_prompt - 1, 3)
        return ops.concatenate(found, axis=1), rows

    expected = forward(model, tokens)[:, num_prompt - 1 :]
    for found in compile_for_model(model, read)(model, tokens):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("decoding", DECODINGS)
def test_greedy_decoding_follows_the_definition(decoding):
    model = built(looped(ABAB, "usual", num_unused_classes=0))
    length = 16 if decoding == "published" else 13
    prompts = tokens_of((16, length))
    decoder = GreedyDecoder(model, decoding, 4, *SIZES.values())
    tokens = prompts
    for _ in range(4):
        window = tokens[:, -16:]
        ids = forward(model, window)[:, -1].argmax(axis=-1)
        tokens = np.concatenate([tokens, ids[:, None]], axis=1)
    answers = decoder(prompts)
    np.testing.assert_array_equal(answers, tokens[:, length:])
    assert len({tuple(a) for a in answers}) > 1  # it can fail


def test_probes_name_loops():
    reader = Reader(built(looped(ABAB)))
    parts = "attention", "feed_forward"
    assert reader.points == (
        "embedding",
        *(f"block_{b}.loop_0.{part}" for b in (0, 1) for part in parts),
        *(f"block_{b}.loop_1.{part}" for b in (0, 1) for part in parts),
    )
    once = Reader(built(looped((2, 1))))
    names = [f"block_{b}.{part}" for b in (0, 1) for part in parts]
    assert once.points == ("embedding", *names)


@pytest.mark.parametrize("layers_and_loops", [AAAA, ABAB], ids=str)
def test_probes_read_and_patch_one_application(layers_and_loops):
    reader, copies = (Reader(m) for m in pair(layers_and_loops, "usual"))
    tokens = tokens_of(PLAIN)
    own, expected = reader.read(tokens), copies.read(tokens)
    same = [
        Patch(point, own.residual(point)) for point in reader.points
    ] + all_heads(own)
    # The second application of the first block.
    name = "block_0.loop_1.attention"
    place = reader.points.index(name)
    patched = reader.read(tokens, [Patch(name, 0.5, [2])])
    other = copies.read(tokens, [Patch(copies.points[place], 0.5, [2])])
    for found, wanted in ((own, expected), (patched, other)):
        for field in dataclasses.fields(own)[1:]:
            np.testing.assert_allclose(
                getattr(found, field.name),
                getattr(wanted, field.name),
                rtol=1e-4,
                atol=1e-4,
            )
    again = reader.read(tokens, same)
    np.testing.assert_array_equal(again.logits, own.logits)
    changed = (patched.residuals != own.residuals).any(axis=(1, 2, 3))
    assert not changed[:place].any()
    assert changed[place:].all()


def test_a_saved_model_loops_when_it_is_loaded(tmp_path):
    model = built(looped(ABAB))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Chain
    assert has_cache(loaded)
    for shape in (PLAIN, FAST):
        tokens = tokens_of(shape)
        np.testing.assert_array_equal(
            forward(loaded, tokens), forward(model, tokens)
        )


def test_operations_are_those_of_the_unshared_gpt():
    four = GPTConfig(**SIZES, **WIDTH, num_layers=4)
    for layers_and_loops in (AAAA, ABAB, (4, 1)):
        config = looped(layers_and_loops)
        assert config.unshared() == four
        assert config.count_operations(3) == four.count_operations(3)


# 16 windows at once, so that a CPU computes them feature-major.
LOOPED = dataclasses.replace(
    TINY,
    task=dataclasses.replace(
        TINY.task,
        mixture=dataclasses.replace(
            TINY.task.mixture,
            components=(Component("A->B", 90), Component("A->C", 30)),
        ),
    ),
    model=LoopedGPTConfig(**vars(TINY.model), num_loops=3),
    train=dataclasses.replace(TINY.train, batch_size=16),
)


@pytest.mark.slow
def test_seeds_together_train_as_each_alone():
    alone = {seed: run(LOOPED, seed) for seed in (1, 2)}
    for each in alone.values():
        losses = each.metrics.query("metric == 'loss'")["value"].to_numpy()
        assert losses[-1] < losses[0] - 0.1
        exact = each.metrics.query("metric == 'log_probability'")["value"]
        assert len(exact) > 0
        assert np.isfinite(exact).all()
    if not IS_JAX:
        return
    from tiny_gpt.training.many_seeds import run_seeds

    for options in ({"num_workers": 1}, {"seeds_per_batch": 2}):
        runs = run_seeds(LOOPED, alone, **options)
        for found, expected in zip(runs, alone.values(), strict=True):
            assert_same_run(found, expected)


def assert_same_run(found, expected):
    left, right = found.metrics, expected.metrics
    pd.testing.assert_frame_equal(
        left.drop(columns="value"), right.drop(columns="value")
    )
    losses = left["metric"].str.startswith("loss")
    np.testing.assert_allclose(
        left["value"][losses], right["value"][losses], rtol=1e-4
    )
    for a, b in zip(
        found.model.get_weights(), expected.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", ["epoch of many seeds", "decoder, cached"])
@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_its_programs_can_be_compiled_elsewhere(platform, name):
    if not IS_JAX:
        pytest.skip("JAX lowers for other platforms")
    from benchmarks.accelerators.lowered import faults_of
    from benchmarks.accelerators.programs import Programs
    from tiny_gpt.runtime.backend import building_for

    with building_for({"cuda": "gpu"}.get(platform, platform)):
        case = Programs(LOOPED).case(name)
        exported = case.program.exported(platform, *case.args)
    assert faults_of(exported.mlir_module(), is_exact=False) == []


def test_a_sweep_changes_the_number_of_loops():
    assert has_field(LOOPED, "model.num_loops")
    assert not has_field(TINY, "model.num_loops")
    values = {"model.num_loops": 2, "model.num_layers": 2}
    changed = with_values(LOOPED, values, ("sweep", "cell"), "A->C").model
    assert type(changed) is LoopedGPTConfig
    assert (changed.num_layers, changed.num_loops) == (2, 2)
    # One loop is the same network, and has a key of its own.
    once = dataclasses.replace(LOOPED.model, num_loops=1)
    keys = {
        str(config_of(dataclasses.replace(LOOPED, model=model)))
        for model in (LOOPED.model, once, once.unshared())
    }
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_loops": 0}, "num_loops=0"),
        ({"num_loops": 1.5}, "num_loops=1.5"),
        ({"num_loops": None}, "num_loops=None"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"positions": "rotary"}, "positions='rotary'"),
    ],
)
def test_an_impossible_config_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        LoopedGPTConfig(**changes)
