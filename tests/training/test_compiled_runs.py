"""Tests for compiled_runs.py: what is compiled once, and for how long."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.runtime import backend
from tiny_gpt.runtime.environment import current_precision, set_precision
from tiny_gpt.runtime.programs import JaxProgram
from tiny_gpt.training import compiled_runs
from tiny_gpt.training.compiled_runs import (
    forget_programs,
    programs_for,
    round_up,
)
from tiny_gpt.training.many_seeds import run_seeds
from tiny_gpt.training.run_setup import set_up_run

if keras.backend.backend() != "jax":
    pytest.skip("programs of whole epochs need JAX", allow_module_level=True)

import jax


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """Returns the shapes of which programs were made."""
    shapes = []

    class CompiledPrograms:
        def __init__(self, like, devices):
            shapes.append(compiled_runs.shape_of(like.experiment))

    monkeypatch.setattr(compiled_runs, "CompiledPrograms", CompiledPrograms)
    forget_programs()
    yield shapes
    forget_programs()


def setup(**changes):
    """Returns a run whose training differs in some fields."""
    train = dataclasses.replace(TINY.train, **changes)
    return set_up_run(dataclasses.replace(TINY, train=train), 1)


def test_runs_of_a_shape_share_what_is_made_once(made):
    one = programs_for(setup())
    assert programs_for(setup(learning_rate=0.5, num_epochs=7)) is one
    assert programs_for(setup(batch_size=3)) is not one
    assert programs_for(setup(weight_decay=0.1)) is not one
    assert len(made) == 3


def test_another_precision_or_other_devices_have_their_own(made):
    before = current_precision()
    found = []
    try:
        for precision in ("float32", "default", "mixed_bfloat16"):
            set_precision(precision)
            found += [programs_for(setup()), programs_for(setup(), ("a", "b"))]
        with jax.default_matmul_precision("bfloat16"):
            found.append(programs_for(setup()))
    finally:
        set_precision(before)
    assert len(set(map(id, found))) == len(made) == 7
    assert programs_for(setup()) in found


def test_the_shapes_asked_for_last_are_kept(made, monkeypatch):
    monkeypatch.setattr(compiled_runs, "MOST_SHAPES", 2)
    sizes = [programs_for(setup(batch_size=size)) for size in (2, 3)]
    assert programs_for(setup(batch_size=2)) is sizes[0]
    programs_for(setup(batch_size=4))  # in the place of 3
    assert programs_for(setup(batch_size=2)) is sizes[0]
    assert programs_for(setup(batch_size=3)) is not sizes[1]
    assert len(made) == 4


def test_a_second_call_compiles_nothing(monkeypatch):
    monkeypatch.undo()  # the real ones
    first, compiled = run_seeds(TINY, [1]), []
    monkeypatch.setattr(JaxProgram, "_compile", compiled.append)
    second = run_seeds(TINY, [1])
    assert compiled == []
    for a, b in zip(first, second, strict=True):
        assert list(a.metrics["value"]) == list(b.metrics["value"])


def test_numbers_are_rounded_up_to_a_multiple():
    assert [round_up(n, 8) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]


def test_a_thread_builds_for_what_the_programs_are_built_for(monkeypatch):
    """Batches of seeds are built by the thread that first needs one."""
    monkeypatch.undo()  # the real ones
    with backend.building_for("gpu"):
        programs = programs_for(setup())
    with ThreadPoolExecutor(1) as pool:
        epoch = pool.submit(programs.epoch, 2).result()
    assert epoch.program._target.platform == "gpu"
    assert programs_for(setup()) is not programs
