"""Whatever is configured is refused with a rule, or works."""

import dataclasses
import math

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.tiny_runs import PRETRAINED, TINY
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig, loss_floor
from tiny_gpt.metrics.frames import columns_of
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.tasks.translation.vocabulary import vocabulary_size
from tiny_gpt.training.epoch_program import EpochProgram
from tiny_gpt.training.finished import load_finished
from tiny_gpt.training.many_seeds import run_jobs
from tiny_gpt.training.run_files import Record, state_of
from tiny_gpt.training.run_setup import Job, frames_of, set_up_run
from tiny_gpt.training.update import compile_gpt

if keras.backend.backend() != "jax":
    pytest.skip("configs are the same everywhere", allow_module_level=True)

import jax

SOMETHING_ELSE = st.sampled_from(
    [
        -1,
        0,
        1,
        0.5,
        2.0,
        -1e-9,
        1e30,
        math.nan,
        math.inf,
        None,
        "3",
        np.int64(2),
    ]
)
LABELS = st.sampled_from(
    [
        "A->B",
        "B->C",
        "A->C",
        "C->A",
        "A->D",
        "",
        "->",
        "A->A",
        "a->b",
        "A->B->C",
    ]
)
HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "/x",
    "x/y",
    "a\nb",
    "\ud800",
    "x\0",
    "ü",
]
NAMES = st.one_of(
    st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True),
    st.sampled_from(HOSTILE_NAMES),
)

POOLS = [
    "abcdefghijklmnopqrstuvwxyz",
    "αβγδεζηθικλμνξο",
    "\ud800bcdefghijklmno",
    "\u2581bcdefghijklmno",  # the space mark of SentencePiece
    "abcdefghijklmn.",
    "abcdefghijklmn ",
    "abcdefghijklmna",
    "abc",
    "",
]


def numbers(least, most):
    """Numbers of a sensible size; now and then something else."""
    one = st.integers if isinstance(least, int) else st.floats
    return st.one_of(one(least, most), one(least, most), SOMETHING_ELSE)


def choices(*values):
    return st.sampled_from([*values, *values, "", "something else", None])


def some(label):
    return st.lists(label, max_size=3).map(tuple)


FIELDS = {
    TrainConfig: {
        "num_epochs": numbers(1, 3),
        "num_pretraining_epochs": numbers(0, 2),
        "batch_size": numbers(1, 64),
        "learning_rate": numbers(1e-9, 1e9),
        "clipnorm": numbers(1e-3, 10.0),
        "clipping": choices("global", "per_replica"),
        "min_loss_drop": numbers(1e-3, 1.0),
        "loss_drop_window": numbers(1, 5),
    },
    GPTConfig: {
        "vocabulary_size": numbers(10, 20),
        "sequence_length": numbers(5, 40),
        "num_layers": numbers(1, 2),
        "num_heads": numbers(1, 3),
        "head_dim": numbers(1, 4),
        "intermediate_ratio": numbers(1, 3),
        "dropout": numbers(0.0, 0.9),
        "dropout_placement": choices("logits", "weights"),
        "normalization": choices("post", "pre"),
        "layer_norm_epsilon": numbers(1e-9, 1.0),
        "logit_scale": choices("hidden_dim", "head_dim"),
        "activation": choices("gelu", "relu", "silu"),
        "output_activation": choices("gelu", "relu"),
        "positions": choices("learned", "none"),
        "num_unused_classes": numbers(0, 2),
        "embedding_gradient": choices("dense"),
    },
    Component: {
        "mapping": LABELS,
        "num_pairs": numbers(0, 40),
        "num_repeats": numbers(1, 3),
        "is_distinct": st.booleans(),
        "num_held_out": numbers(0, 2),
    },
    Mixture: {
        "given": some(LABELS),
        "scrambled": some(LABELS),
        "alphabet_size": numbers(1, 5),
        "sentence_length": numbers(1, 4),
        "characters": st.sampled_from(POOLS),
    },
    EvaluationConfig: {
        "decoding": choices("published", "aligned", "cached"),
        "num_sentences": numbers(1, 9),
        "num_demonstrations": numbers(0, 2),
        "num_fresh_sentences": numbers(0, 5),
        "every": numbers(1, 3),
        "num_loss_windows": numbers(0, 9),
        "exact_demonstrations": some(numbers(0, 2)),
        "is_asked_after_others": st.booleans(),
    },
    Experiment: {
        "name": NAMES,
        "condition": NAMES,
    },
    Translation: {
        "eval_mappings": some(LABELS),
        "tokens": choices("words", "characters"),
        "pivots": some(st.sampled_from(["A->B->C", "A->B", "C->B->A", "x"])),
    },
}


@st.composite
def changed(draw, config, most=2):
    """Draws changes of a config: values of a few of its fields."""
    fields = FIELDS[config]
    names = draw(
        st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=most)
    )
    return {name: draw(fields[name]) for name in names}


def refused_or(build, *arguments, **options):
    """Returns what is built; None if it is refused by a rule."""
    try:
        return build(*arguments, **options)
    except ValueError as error:
        refusal = error
    # No subclass, which nobody raised on purpose.
    assert type(refusal) is ValueError, repr(refusal)
    assert "Received" in str(refusal), str(refusal)
    return None


def fuzz(max_examples):
    """Draws the same examples each time, and takes its time over them."""
    return settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=max_examples,
        suppress_health_check=list(HealthCheck),
    )


PARTS = ("model", "train", "evaluation", "mixture")


def part_of(base, name):
    return base.task.mixture if name == "mixture" else getattr(base, name)


@st.composite
def experiments(draw, base=TINY, names=PARTS):
    """Draws an experiment, or None if one of its parts is refused."""
    replace = dataclasses.replace
    parts = {name: part_of(base, name) for name in PARTS}
    for name in names:
        part = part_of(base, name)
        parts[name] = refused_or(
            replace, part, **draw(changed(type(part), most=1))
        )
    component = refused_or(
        replace, Component("B->C", 7), **draw(changed(Component))
    )
    if None in (component, *parts.values()):
        return None
    if draw(st.booleans()):
        both = (*parts["mixture"].components, component)
        parts["mixture"] = refused_or(
            replace, parts["mixture"], components=both
        )
    changes = draw(changed(Experiment))
    of_task = draw(changed(Translation))
    if parts["mixture"] is not None and draw(st.integers(0, 4)):
        tokens = of_task.get("tokens", base.task.tokens)
        size = refused_or(vocabulary_size, parts["mixture"], tokens)
        parts["model"] = refused_or(
            replace, parts["model"], vocabulary_size=size
        )
    if None in parts.values():
        return None
    mixture = parts.pop("mixture")
    task = refused_or(replace, base.task, mixture=mixture, **of_task)
    if task is None:
        return None
    return refused_or(replace, base, task=task, **parts, **changes)


@pytest.mark.parametrize("config", FIELDS, ids=lambda c: c.__name__)
def test_a_config_is_built_or_refused(config):
    bases = {
        TrainConfig: TINY.train,
        GPTConfig: TINY.model,
        Component: TINY.task.mixture.components[0],
        Mixture: TINY.task.mixture,
        EvaluationConfig: TINY.evaluation,
        Experiment: TINY,
        Translation: TINY.task,
    }
    built = []

    @fuzz(200)
    @given(changed(config, most=3))
    def try_changes(changes):
        base = bases[config]
        found = refused_or(dataclasses.replace, base, **changes)
        built.append(found is not None)

    try_changes()
    assert 10 < sum(built) < len(built)  # it tries both


@pytest.mark.slow
def test_what_is_built_can_be_read_and_asked(tmp_path):
    prepared = []

    @fuzz(400)
    @given(experiments())
    def try_experiment(experiment):
        if experiment is None:
            return
        setup = refused_or(set_up_run, experiment, 1)
        assert np.isfinite(loss_floor(experiment))
        tokens = setup.data.stream.vocabulary.tokens
        assert len(set(tokens)) == experiment.model.vocabulary_size
        assert setup.data.inputs.max() < experiment.model.vocabulary_size
        assert setup.windows.epoch(0)[0].shape == setup.data.inputs.shape
        record = Record(experiment, 1, tmp_path / experiment.condition)
        columns = columns_of(experiment)
        record.add(dict.fromkeys(columns, 1.0), list)
        metrics, _, _ = frames_of(experiment, 1, record)
        assert len(metrics) == len(columns)
        prepared.append(experiment)

    try_experiment()
    assert len(prepared) > 20


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_that_of_a_file_in_its_folder(name):
    for field in ("name", "condition"):
        with pytest.raises(ValueError, match=f"Received: {field}="):
            dataclasses.replace(TINY, **{field: name})


@pytest.mark.parametrize("field", ["activation", "output_activation"])
def test_an_activation_is_one_of_keras(field):
    dataclasses.replace(TINY.model, **{field: None})
    for value in ("something else", "", 3):
        with pytest.raises(ValueError, match=f"Received: {field}="):
            dataclasses.replace(TINY.model, **{field: value})


def with_mixture(tokens="words", **changes):
    mixture = dataclasses.replace(TINY.task.mixture, **changes)
    size = vocabulary_size(mixture, tokens)
    model = dataclasses.replace(
        TINY.model, vocabulary_size=size, sequence_length=60
    )
    task = dataclasses.replace(TINY.task, mixture=mixture, tokens=tokens)
    return dataclasses.replace(TINY, task=task, model=model)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        # A word that is SentencePiece's space mark would have its id.
        ({"characters": "\u2581bcdefghijklmno"}, "other than a space"),
        # "A" and "a" would have the same key in the logs.
        ({"given": ("A->B", "B->C", "C->a")}, "differ in more than their case"),
        # 26 * 25 * ... * 15 = 4e15 sentences would be listed.
        (
            {
                "sentence_length": 12,
                "alphabet_size": 26,
                "characters": "".join(map(chr, range(0x4E00, 0x4E00 + 78))),
            },
            "asks every sentence",
        ),
    ],
)
def test_a_mixture_that_would_go_wrong_later_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        with_mixture(**changes)


def test_distinct_sentences_are_drawn_from_a_list():
    components = (Component("A->B", 5, is_distinct=True),)
    with pytest.raises(ValueError, match="Received: 7893600 for"):
        Mixture(
            components,
            alphabet_size=26,
            sentence_length=5,
            characters="".join(map(chr, range(0x4E00, 0x4E00 + 78))),
        )


@pytest.mark.slow
def test_a_model_that_is_built_has_an_update():
    updated = []

    @fuzz(15)
    @given(changed(GPTConfig, most=4))
    def try_model(changes):
        config = refused_or(dataclasses.replace, TINY.model, **changes)
        model = config and refused_or(GPTConfig.build, config)
        if model is None:
            return
        compile_gpt(model, TINY.train)
        tokens = np.zeros((1, 2, config.sequence_length), "int32")
        epoch = EpochProgram(model)._epoch  # traced, not compiled
        state, losses = jax.eval_shape(
            epoch, state_of(model), tokens, tokens, np.ones((1, 2)), 1
        )
        assert [v.shape for v in state] == [v.shape for v in state_of(model)]
        assert losses.shape == (1,)
        updated.append(config)

    try_model()
    assert len(updated) > 3


@pytest.mark.slow
def test_runs_that_share_a_program_all_work(tmp_path):
    found = []

    @fuzz(150)
    @given(st.one_of(experiments(TINY, PARTS[1:]), experiments(PRETRAINED, ())))
    def collect(experiment):
        if experiment is not None and experiment not in found:
            found.append(experiment)

    collect()
    # One program for all.
    alike = dict.fromkeys(
        dataclasses.replace(
            e,
            model=TINY.model,
            train=dataclasses.replace(e.train, batch_size=6, clipnorm=1.0),
            evaluation=dataclasses.replace(e.evaluation, decoding="cached"),
        )
        for e in found
        if e.model == TINY.model
    )
    diverging = dataclasses.replace(
        TINY, train=dataclasses.replace(TINY.train, learning_rate=1e30)
    )
    jobs = [
        Job(experiment, 1, tmp_path / str(i))
        for i, experiment in enumerate([*list(alike)[:8], diverging])
    ]
    assert len(jobs) == 9
    for job, run in run_jobs(jobs):
        again, _, _ = load_finished(job.experiment, job.seed, job.record)
        assert len(again) == len(run.metrics) > 0
