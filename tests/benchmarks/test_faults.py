"""What survives when a command is killed, stopped, or finds damaged files.

The harness is `benchmarks/faults`, whose `commands_killed.py` tries many more.
"""

import functools
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks.faults.commands import Commands
from benchmarks.faults.fault import PHASES
from benchmarks.faults.miniature import PATHS
from benchmarks.faults.trials import Trials
from benchmarks.tiny_runs import TINY
from experiments.__main__ import main
from experiments.reproduction import REPRODUCTION
from tiny_gpt.runtime.files import seal, write_checkpoint
from tiny_gpt.training.run_files import Record

pytestmark = pytest.mark.faults

BACKEND = keras.backend.backend()
HERE = [path for path, backend in PATHS.items() if backend == BACKEND]
FASTEST, FIT = HERE[0], HERE[-1]


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", BACKEND)
        yield Commands(tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module")
def trials_of(commands, tmp_path_factory):
    return functools.cache(
        lambda path: Trials(path, commands, tmp_path_factory.mktemp("path"))
    )


@pytest.fixture(scope="module")
def trials(trials_of):
    return trials_of(FASTEST)


def test_the_same_command_gives_the_same_bytes(trials):
    assert set(trials.reference.hashes.values()) - {None}
    assert len(set(trials.reference.hashes.values())) == 4  # of 4 runs
    assert len(trials.reference.frames["metrics.csv"].splitlines()) > 400
    assert len(trials.reference.frames["events.csv"].splitlines()) > 2
    assert trials.repeat(0)


@pytest.mark.parametrize("phase", PHASES if FASTEST != FIT else PHASES[2:3])
def test_a_killed_command_ends_as_one_never_stopped(phase, trials):
    assert trials.signal("kill", phase, seed=PHASES.index(phase))


def test_data_reach_the_disk_before_their_file_gets_its_name(trials):
    # Of each thread: a file is renamed right after it was synced.
    moved, last = [], {}
    for step in trials.steps:
        moment, _, name = step.name.partition(" ")
        is_made_anew = name == "figure_2.png" or "previous" in name
        if moment == "renaming" and not is_made_anew:
            moved.append(name)
            assert last[step.thread] == f"synced saving_{name}"
        last[step.thread] = step.name
    assert {"metrics.csv", "manifest.json", "seed_3.json"} < set(moved)
    assert {"seed_3.checkpoint", "seed_3.weights.h5"} < set(moved)


def test_a_command_killed_between_two_renames_ends_the_same(trials_of):
    # Then only the checkpoint before is there.
    trials = trials_of(FIT)
    moment = "renamed seed_4.previous"
    assert trials.signal("kill", "writing", 4, moment)


def test_a_command_killed_after_its_training_ends_the_same(trials_of):
    # Neither the weights nor the record have their names.
    for trials in map(trials_of, HERE):
        moment = "written saving_seed_4.weights"
        assert trials.signal("kill", "writing", 5, moment)
        assert trials.load_all(6)


@pytest.mark.parametrize(
    "action", ["SIGINT", "SIGTERM"] if FASTEST != FIT else ["SIGTERM"]
)
def test_an_interrupted_command_says_how_to_continue(action, trials):
    assert trials.signal(action, "stepping", 6)


@pytest.mark.parametrize(
    "name",
    ["half written .checkpoint", "opening .weights.h5"],
)
def test_a_full_disk_is_said_and_loses_nothing(name, trials):
    if FASTEST == FIT and "checkpoint" not in name:
        pytest.skip("the files are written by the same code")
    assert trials.error("ENOSPC", name, 7)


if FASTEST != FIT:  # the same code on both backends

    def test_a_file_that_may_not_grow_is_said_and_loses_nothing(trials):
        assert trials.limit(8, 20_000)

    def test_a_folder_that_may_not_be_written_is_said(trials):
        assert trials.error("EACCES", "renaming .checkpoint", 9)
        assert trials.no_folder(10)

    @pytest.mark.parametrize("phase", ["", "stepping"])
    def test_of_two_commands_one_is_refused(phase, trials):
        assert trials.race(phase, 11)

    def test_a_damaged_checkpoint_gives_way_to_the_one_before(trials_of):
        trials = trials_of(FIT)
        assert trials.damage(["run.checkpoint"], "flip", False, 12)
        assert trials.num_epochs == 2  # of 4; before it were 2

    @pytest.mark.parametrize(
        "names",
        [
            ("run.checkpoint", "run.previous.checkpoint"),
            ("run.jsonl",),
        ],
        ids=" and ".join,
    )
    def test_damaged_files_of_a_run_are_found_midway(names, trials):
        assert trials.damage(names, "flip", is_finished=False, seed=12)

    @pytest.mark.parametrize(
        "name", ["run.json", "run.jsonl", "run.weights.h5", "metrics.csv"]
    )
    def test_damaged_files_of_a_finished_run_are_found(name, trials):
        assert trials.damage([name], "flip", is_finished=True, seed=13)
        assert trials.damage(["manifest.json"], "cut", True, 14)


def test_a_record_that_somebody_else_sealed_is_set_aside(tmp_path):
    path = tmp_path / "seed_1"
    for saved in ({}, {"config": 1}, {"logs": 3, "config": {}}):
        Path(f"{path}.json").write_text(seal(saved))
        write_checkpoint(Path(f"{path}.checkpoint"), [np.ones(1)], saved)
        with pytest.warns(UserWarning, match="is damaged"):
            record = Record(TINY, 1, path)
        assert (record.logs, record.state, record.exact) == ([], None, None)


def test_a_run_that_diverged_is_kept_as_it_is(tmp_path):
    # As with a learning rate of 1e30.
    row = ("A->B", "all_sentences", "1_demonstrations", "log_probability")
    record = Record(TINY, 1, tmp_path / "seed_1")
    record.add({"loss": math.nan, "weight_norm": math.inf}, list)
    record.exact = [(*row, math.nan), (*row, -math.inf)]
    text = seal(record._as_json())
    assert json.loads(text)["value"]["exact"][1][-1] == "-inf"
    Path(f"{record.path}.json").write_text(text)
    again = Record(TINY, 1, record.path)
    assert again.logs[0]["weight_norm"] == math.inf
    assert math.isnan(again.logs[0]["loss"])
    assert math.isnan(again.exact[0][-1])
    assert again.exact[1] == record.exact[1]


@pytest.mark.parametrize("experiment", [s.name for s in REPRODUCTION.studies])
@pytest.mark.parametrize("name", ["../x", "/tmp/x", "x/../../y", ".", "a\0b"])
def test_a_condition_is_no_path(experiment, name, tmp_path, capsys):
    out = tmp_path / "out" / "results"
    where = ["--out", str(out), "--backend", BACKEND]
    assert main([experiment, "--conditions", name, *where]) == 2
    assert "Received: condition=" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
