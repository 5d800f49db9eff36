"""Tests for experiments/measurements: re-use, and what is kept."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from experiments.measurements import reuse
from tiny_gpt.commands.measured import (
    MeasuredFiles,
    measure_all,
    read_measurements,
)
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.sweep.store import Store
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.train import run
from tiny_gpt.training.finished import Trained

ALONE = dataclasses.replace(
    TINY,
    task=dataclasses.replace(
        TINY.task,
        mixture=dataclasses.replace(
            TINY.task.mixture, components=(Component("A->C", 4, 5),)
        ),
        eval_mappings=("A->C",),
        pivots=(),
    ),
    evaluation=dataclasses.replace(TINY.evaluation, exact_demonstrations=(1,)),
)


@pytest.fixture(scope="module")
def before():
    done = run(TINY, 3)
    return Trained(TINY, 3, done.model, done.data)


def test_every_weight_belongs_to_a_part():
    parts = [reuse.part_of(v.path) for v in TINY.model.build().weights]
    assert set(parts) == set(reuse.PARTS)
    assert reuse.part_of("block_1/attention_norm/gamma") == "attention"
    assert reuse.part_of("block_0/feed_forward_norm/beta") == "feed_forward"
    assert reuse.part_of("head/kernel") == "embeddings"


@pytest.mark.parametrize("frozen", [*reuse.PARTS, ""])
def test_a_frozen_part_keeps_its_weights(before, frozen):
    model, _ = reuse.learn(ALONE, 3, before.model, frozen)
    for variable, other in zip(
        model.weights, before.model.weights, strict=True
    ):
        is_frozen = reuse.part_of(variable.path) == frozen
        is_same = np.array_equal(*map(np.asarray, (variable, other)))
        # What starts at zero and gets no gradient: the bias of the keys.
        assert is_same == is_frozen or "key/bias" in variable.path


def test_a_fresh_part_starts_anew(before):
    model, untouched = TINY.model.build(), TINY.model.build()
    untouched.set_weights(model.get_weights())
    reuse.set_parts(model, before.model, ("attention",))
    for variable, mine, theirs in zip(
        model.weights, untouched.weights, before.model.weights, strict=True
    ):
        is_fresh = reuse.part_of(variable.path) == "attention"
        np.testing.assert_array_equal(
            *map(np.asarray, (variable, mine if is_fresh else theirs))
        )


def test_the_fresh_variant_is_a_run_of_its_own(before):
    model, _ = reuse.learn(ALONE, 3, before.model, "", reuse.PARTS)
    alone = run(ALONE, 3).model
    for variable, other in zip(model.weights, alone.weights, strict=True):
        np.testing.assert_allclose(
            *map(np.asarray, (variable, other)), atol=1e-6
        )
    # The optimizer starts anew, too.
    again, _ = reuse.learn(ALONE, 3, before.model, "", reuse.PARTS)
    for variable, other in zip(again.weights, alone.weights, strict=True):
        np.testing.assert_allclose(
            *map(np.asarray, (variable, other)), atol=1e-6
        )


@pytest.mark.slow
def test_each_variant_is_measured(monkeypatch, before):
    monkeypatch.setattr(
        reuse.controls, "build_experiment", lambda *names: ALONE
    )
    rows = reuse.measure({reuse.BEFORE: before}, 3)
    found = {
        prompt
        for mapping, tier, prompt, metric, value in rows
        if (mapping, tier, metric)
        == ("A->C", "unseen_sentences", "accuracy_aligned")
    }
    assert found == set(reuse.VARIANTS)


def scripted(name, needs=(), value=1.0, calls=None):
    def measure(trained, seed):
        if calls is not None:
            calls.append((name, seed, tuple(trained.values())))
        return [("A->C", "all", "all", "number", value + seed)]

    return SimpleNamespace(NAME=name, NEEDS=needs, measure=measure)


@pytest.fixture
def files(tmp_path):
    return MeasuredFiles(Store(tmp_path), {"x/y": TINY})


def measured(modules, files, seeds=(0, 1)):
    loaded, told = [], []

    def load(place, seed):
        loaded.append((place, seed))
        return f"{place} {seed}"

    measure_all(modules, seeds, files, load, lambda *done: told.append(done))
    return loaded, told


def test_measurements_are_kept_and_not_made_again(files):
    calls = []
    modules = [
        scripted("one", ("x/y",), 1.0, calls),
        scripted("two", ("x/y",), 5.0, calls),
    ]
    loaded, told = measured(modules, files)
    assert loaded == [("x/y", 0), ("x/y", 1)]  # shared by both
    assert calls[0] == ("one", 0, ("x/y 0",))
    assert [was_there for _, _, was_there in told] == [False] * 4
    loaded, told = measured(modules, files)
    assert loaded == []
    assert len(calls) == 4
    assert [was_there for _, _, was_there in told] == [True] * 4
    found = read_measurements(modules, (0, 1, 2), files)
    frame = found.metrics
    assert tuple(frame.columns) == COLUMNS
    assert frame["value"].tolist() == [1.0, 2.0, 5.0, 6.0]
    assert set(frame["experiment"]) == {"theory"}
    assert found.missing == {"one": [2], "two": [2]}
    assert set(found.wall_s) == {"one", "two"}


def test_a_damaged_measurement_is_made_again(files):
    module = scripted("one")
    measured([module], files)
    path = files.path(module, 1)
    path.write_text(path.read_text().replace("2.0", "3.0"))
    assert read_measurements([module], (0, 1), files).missing == {"one": [1]}
    assert path.with_name(path.name + ".damaged").exists()
    _, told = measured([module], files)
    assert told == [("one", 0, True), ("one", 1, False)]
    metrics = read_measurements([module], (0, 1), files).metrics
    assert metrics["value"].tolist() == [1, 2]


def test_a_measurement_is_found_by_what_it_depends_on(files, tmp_path):
    module = scripted("one", ("x/y",))
    measured([module], files)
    code = tmp_path / "code.py"
    code.write_text("one")
    edited = SimpleNamespace(**{**vars(module), "__file__": str(code)})
    paths = {files.path(module, 1), files.path(edited, 1)}
    code.write_text("two")
    paths.add(files.path(edited, 1))
    others = MeasuredFiles(Store(tmp_path), {"x/y": ALONE})
    paths.add(others.path(module, 1))
    assert len(paths) == 4
    # Labels are no part of it.
    named = dataclasses.replace(TINY, name="other", condition="two")
    same = MeasuredFiles(Store(tmp_path), {"x/y": named})
    assert same.path(module, 1) == files.path(module, 1)


def test_another_process_measures_meanwhile(files, tmp_path, monkeypatch):
    module = scripted("one")
    seed = 0
    with files.held(module, seed):
        polls = []

        def wait(seconds):
            polls.append(seconds)
            raise InterruptedError

        monkeypatch.setattr("time.sleep", wait)
        with pytest.raises(InterruptedError):
            measured([module], files, (seed,))
    assert polls
    assert measured([module], files, (seed,))[1] == [("one", 0, False)]


def test_a_number_that_is_named_twice_is_refused(files):
    module = scripted("one")
    module.measure = lambda trained, seed: [("a", "b", "c", "d", 1.0)] * 2
    with pytest.raises(ValueError, match="twice, of 'one'"):
        measured([module], files)
