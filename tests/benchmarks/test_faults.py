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

from benchmarks.faults.bench import count_epochs
from benchmarks.faults.catalogue import DAMAGES
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
    assert len(set(trials.reference.hashes)) == 4  # of 4 runs
    assert len(trials.reference.frames["metrics.csv"].splitlines()) > 400
    assert len(trials.reference.frames["events.csv"].splitlines()) > 2
    assert trials.reference.manifest["status"] == "finished"
    assert trials.repeat(0)


@pytest.mark.parametrize("phase", PHASES if FASTEST != FIT else PHASES[2:3])
def test_a_killed_command_ends_as_one_never_stopped(phase, trials):
    assert trials.signal("kill", phase, seed=PHASES.index(phase))


def test_data_reach_the_disk_before_their_file_gets_its_name(trials):
    # Of each thread: a file is renamed right after it was synced.
    moved, last = [], {}
    for step in trials.steps:
        moment, _, name = step.name.rpartition(" ")
        folder, _, file = name.rpartition("/")
        is_made_anew = file == "figure_2.png" or "previous" in file
        if moment == "renaming" and not is_made_anew:
            if "cells" in folder and file.endswith(".h5"):
                key = folder.rpartition("/")[2]  # it has had another name
                assert f"store/running/{key}_{file}" in moved
            else:
                assert last[step.thread] == f"synced {folder}/saving_{file}"
            moved.append(name)
        last[step.thread] = step.name
    for end in (
        *("out/metrics.csv", "out/manifest.json", "store/store.json"),
        *("_seed_3.checkpoint", "_seed_3.weights.h5", "_seed_3.json"),
        *("/seed_3.weights.h5", "/seed_3.json"),
    ):
        assert any(name.endswith(end) for name in moved), end


def test_a_command_killed_between_two_renames_ends_the_same(trials_of):
    # Then only the checkpoint before is there.
    trials = trials_of(FIT)
    moment = "renamed *_seed_4.previous.checkpoint"
    assert trials.signal("kill", "writing", 4, moment)


def test_a_command_killed_after_its_training_ends_the_same(trials_of):
    # Neither the weights nor the record have their names.
    for trials in map(trials_of, HERE):
        moment = "written store/running/saving_*_seed_4.weights.h5"
        assert trials.signal("kill", "writing", 5, moment)
        assert trials.load_all(6)


@pytest.mark.parametrize(
    "moment",
    (
        "half written store/cells/*.json",
        "renamed store/running/*.json",
        "renamed store/cells/*.weights.h5",
        "renamed store/cells/*.json",
    )[: 1 if FASTEST == FIT else None],
)
def test_a_run_killed_on_its_way_into_the_store_is_there_once(moment, trials):
    assert trials.signal("kill", "writing", 17, moment)


@pytest.mark.parametrize(
    "action", ["SIGINT", "SIGTERM"] if FASTEST != FIT else ["SIGTERM"]
)
def test_an_interrupted_command_says_how_to_continue(action, trials):
    assert trials.signal(action, "stepping", 6)


@pytest.mark.parametrize(
    "moment",
    (
        "half written store/running/*.checkpoint",
        "opening store/running/*.weights.h5",
        "renaming store/cells/*.json",
    )[: 1 if FASTEST == FIT else None],
)
def test_a_full_disk_is_said_and_loses_nothing(moment, trials):
    assert trials.error("ENOSPC", moment, 7)


@pytest.mark.parametrize(
    "phase", ["", "stepping"] if FASTEST != FIT else ["stepping"]
)
def test_two_commands_at_once_train_no_epoch_twice(phase, trials):
    assert trials.race(phase, 11)


def test_a_command_finishes_what_another_leaves_that_is_killed(trials):
    assert trials.end_one("kill", "evaluating", 18)


def test_a_run_that_fails_does_not_stop_the_others(trials):
    assert trials.failure("evaluating", 20)


if FASTEST != FIT:  # the same code on both backends

    def test_a_file_that_may_not_grow_is_said_and_loses_nothing(trials):
        assert trials.limit(8, 20_000)

    def test_a_folder_that_may_not_be_written_is_said(trials):
        for moment in ("renaming *.checkpoint", "opening store/leases/*.lock"):
            assert trials.error("EACCES", moment, 9)
        assert trials.no_folder("out", 10)
        assert trials.no_folder("store", 10)

    def test_two_commands_of_two_folders_share_a_store(trials):
        assert trials.race("", 11, "out_of_the_second")

    def test_two_commands_make_a_damaged_run_again_once(trials):
        assert trials.race_to_mend("flip", 19)

    @pytest.mark.parametrize(
        "moment",
        [
            "renamed store/store.json",
            "half written store/cells/*.json",
            "renamed store/cells/*.json",
            "half written out/saving_metrics.csv",
        ],
    )
    def test_of_two_commands_one_is_killed_while_it_writes(moment, trials):
        assert trials.end_one("kill", "writing", 21, moment)

    def test_of_two_commands_one_is_interrupted(trials):
        assert trials.end_one("SIGTERM", "stepping", 22)

    @pytest.mark.parametrize("is_drawn", [True, False])
    def test_a_store_of_another_version_is_left_as_it_is(is_drawn, trials):
        assert trials.other_version(is_drawn, 23)

    def test_a_damaged_checkpoint_gives_way_to_the_one_before(trials_of):
        trials = trials_of(FIT)
        names = ["store/running/RUN.checkpoint"]
        assert trials.damage(names, "flip", "midway", 12)
        assert count_epochs(trials.last) == 2  # of 4; before it were 2

    @pytest.mark.parametrize(
        "names",
        [
            (
                "store/running/RUN.checkpoint",
                "store/running/RUN.previous.checkpoint",
            ),
            ("store/running/RUN.jsonl",),
        ],
        ids=" and ".join,
    )
    def test_damaged_files_of_a_run_are_found_midway(names, trials):
        assert trials.damage(names, "flip", "midway", 12)

    def test_a_damaged_record_is_found_on_its_way_into_the_store(trials):
        assert trials.damage(["store/running/RUN.json"], "flip", "ending", 12)

    @pytest.mark.parametrize("how", DAMAGES)
    def test_a_damaged_run_of_the_store_is_made_again(how, trials):
        assert trials.damage(["store/cells/CELL.json"], how, "finished", 13)

    @pytest.mark.parametrize(
        "name",
        [
            "store/cells/CELL.weights.h5",
            "store/store.json",
            "out/metrics.csv",
        ],
    )
    def test_damaged_files_of_a_finished_command_are_found(name, trials):
        assert trials.damage([name], "flip", "finished", 13)

    def test_a_damaged_manifest_is_made_again(trials):
        assert trials.damage(["out/manifest.json"], "cut", "finished", 14)


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
