"""Tests for `python -m experiments sweep`: run, status, collect, plot."""

import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from experiments import controls
from experiments.__main__ import main
from tiny_gpt.commands import executors
from tiny_gpt.commands.options import parse_arguments
from tiny_gpt.commands.study import Study
from tiny_gpt.sweep.threads import in_process

TEXT = """
experiment = "controls"
condition = "one"
seeds = 2
[success]
mapping = "A->C"
threshold = 0.3
[axes]
sparse_pairs = [4, 10]
"""
FILES = {
    "runs.csv",
    "made.csv",
    "cells.csv",
    "thresholds.json",
    "manifest.json",
}


@pytest.fixture(autouse=True)
def _keep_the_environment(monkeypatch):
    # `main` sets them for the process that it is started in.
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")
    monkeypatch.setenv("NPROC", "")


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Returns what runs a command on a tiny sweep."""
    study = Study(
        name="tiny",
        conditions={"one": "the only one"},
        build_experiment=lambda *_: TINY,
        sparse=("A->C",),
    )
    monkeypatch.setattr(controls, "STUDY", study)
    path = tmp_path / "small.toml"
    path.write_text(TEXT)

    def run(*arguments, action=None):
        folders = "--store", tmp_path / "store", "--out", tmp_path / "out"
        if "--executor" not in arguments:
            arguments = (*arguments, "--executor", "threads")
        words = (*([action] if action else []), path, *folders, *arguments)
        return main(["sweep", *map(str, words)])

    return run


def files(folder):
    return {p.name for p in folder.iterdir()} if folder.exists() else set()


@pytest.mark.slow
def test_one_command_runs_collects_and_draws(sweep, tmp_path, capsys):
    assert sweep() == 0
    assert files(tmp_path / "out") >= {*FILES, "map.png"}
    runs = pd.read_csv(tmp_path / "out/runs.csv")
    assert list(zip(runs["sparse_pairs"], runs["seed"], strict=True)) == [
        (4, 0),
        (4, 1),
        (10, 0),
        (10, 1),
    ]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["runs"] == manifest["runs_wanted"] == 4
    assert manifest["sweep"]["axes"] == {"sparse_pairs": [4, 10]}
    assert "sweep" in manifest["command"]
    (made_on,) = manifest["made_on"]
    assert "jax" in made_on
    said = capsys.readouterr().out
    assert "4 runs trained by this command" in said
    assert "4 of 4 runs collected" in said
    assert said.splitlines()[-1] == f"Figure: {tmp_path / 'out/map.png'}"
    # Once more: nothing is left to run, and all is the same.
    before = (tmp_path / "out/runs.csv").read_bytes()
    assert sweep() == 0
    assert "0 runs trained by this command" in capsys.readouterr().out
    assert (tmp_path / "out/runs.csv").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--jobs", "1"], ["--seeds-per-batch", "2"]]
)
def test_frames_are_the_same_to_the_byte(sweep, tmp_path, arguments):
    assert sweep() == 0
    first = (tmp_path / "out/runs.csv").read_bytes()
    shutil.rmtree(tmp_path / "store")
    assert sweep(*arguments) == 0
    if "--jobs" in arguments:
        assert (tmp_path / "out/runs.csv").read_bytes() == first
    again = pd.read_csv(tmp_path / "out/runs.csv")
    before = pd.read_csv(io.BytesIO(first))
    pd.testing.assert_frame_equal(again, before, atol=1e-5)


@pytest.mark.slow
def test_all_metrics_are_collected_where_they_are_asked_for(sweep, tmp_path):
    assert sweep("--metrics") == 0
    path = tmp_path / "out/metrics.csv.gz"
    metrics = pd.read_csv(path)
    assert set(metrics["sparse_pairs"]) == {4, 10}
    loss = metrics[metrics["metric"] == "loss"]
    epochs = TINY.train.num_epochs
    assert len(loss) == 4 * epochs
    assert set(loss["epoch"]) == set(range(1, epochs + 1))
    for action in ("run", "status", "plot"):
        assert sweep("--metrics", action=action) == 2
        assert sweep("--track", "tensorboard", action=action) == 2
    assert sweep("--track", "tensorboard", action="collect") == 0
    tracked = tmp_path / "out" / "tensorboard"
    cells = {p.name: len(list(p.iterdir())) for p in tracked.iterdir()}
    assert cells == {"sparse_pairs 4": 2, "sparse_pairs 10": 2}  # seeds
    # It is never older than the other frames.
    assert sweep(action="collect") == 0
    assert not path.exists()


@pytest.mark.slow
def test_status_tells_what_is_there(sweep, capsys):
    assert sweep(action="status") == 0
    assert [int(x) for x in row(capsys)] == [4, 0, 0, 0, 4]
    assert sweep("--shard", "0/2", action="run") == 0
    capsys.readouterr()
    assert sweep(action="status") == 0
    runs, finished, running, begun, missing = (int(x) for x in row(capsys))
    assert (runs, running, begun) == (4, 0, 0)
    assert finished + missing == 4


def row(capsys):
    out = capsys.readouterr().out
    return next(line for line in out.splitlines() if "│" in line)[1:-1].split(
        "│"
    )


@pytest.mark.slow
def test_shards_are_collected_together(sweep, tmp_path):
    for index in range(2):
        assert sweep("--shard", f"{index}/2") == 0
        assert files(tmp_path / "out") == set()  # only part of it is there
    assert sweep(action="collect") == 0
    assert len(pd.read_csv(tmp_path / "out/runs.csv")) == 4
    assert sweep(action="plot") == 0
    assert "map.png" in files(tmp_path / "out")


def test_adaptive_runs_no_more_than_its_budget(sweep, tmp_path, capsys):
    assert sweep("--adaptive", "2") == 0
    said = capsys.readouterr().out
    assert "stopped by" in said
    assert len(pd.read_csv(tmp_path / "out/runs.csv")) <= 2
    assert sweep("--adaptive", "2") == 0
    assert "0 runs trained by this command" in capsys.readouterr().out


def test_finished_runs_are_shared(sweep, tmp_path, capsys):
    url = f"file://{tmp_path}/shared"
    assert sweep("--shared", url, action="run") == 0
    assert "4 runs trained by this command" in capsys.readouterr().out
    other = "--store", tmp_path / "elsewhere"
    assert sweep("--shared", url, *map(str, other)) == 0
    assert "0 runs trained by this command" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out/runs.csv")) == 4


@pytest.mark.parametrize(
    ("action", "arguments", "message"),
    [
        ("run", ["--shard", "2/2"], "A shard is I of N"),
        ("run", ["--shard", "half"], "A shard is I of N"),
        ("run", ["--jobs", "0"], "`--jobs` must be at least 1"),
        (
            "run",
            ["--seeds-per-batch", "0"],
            "`--seeds-per-batch` must be at least 1",
        ),
        ("run", ["--address", "auto"], "needs --executor ray"),
        ("run", ["--executor", "ray", "--jobs", "2"], "deals out cores"),
        ("run", ["--executor", "ray", "--devices", "tpu"], "On a cluster"),
        ("run", ["--adaptive", "0"], "`--adaptive` must be at least 1"),
        ("run", ["--adaptive", "5", "--shard", "0/2"], "cannot be dealt out"),
        ("run", ["--backend", "tensorflow"], "backend"),
        ("collect", [], "There must be a finished run"),
        ("plot", [], "collect it first"),
    ],
)
def test_what_it_cannot_do_is_refused(
    sweep, tmp_path, capsys, action, arguments, message
):
    assert sweep(*arguments, action=action) == 2
    assert message in capsys.readouterr().err
    assert files(tmp_path / "out") == set()


def test_other_results_are_not_replaced(sweep, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    assert sweep() == 2
    said = capsys.readouterr()
    assert "holds other files" in said.err
    assert "trained by" not in said.out  # before anything is trained
    assert files(tmp_path / "out") == {"notes.txt"}


def test_failed_runs_leave_the_others(sweep, tmp_path, capsys, monkeypatch):
    from tiny_gpt.sweep import tasks

    real = tasks.run_all

    def fail_once(jobs, *args, **options):
        if jobs[0].seed == 1:
            raise RuntimeError("a fault\nin two lines")
        return real(jobs, *args, **options)

    monkeypatch.setattr(tasks, "run_all", fail_once)
    assert sweep() == 1
    said = capsys.readouterr()
    assert "2 runs have failed" in said.err
    assert "RuntimeError: a fault" in said.err
    assert len(pd.read_csv(tmp_path / "out/runs.csv")) == 2


def test_maps_are_of_what_was_collected(sweep, tmp_path, capsys):
    assert sweep() == 0
    path = tmp_path / "small.toml"
    path.write_text(TEXT.replace("threshold = 0.3", "threshold = 0.9"))
    capsys.readouterr()
    assert sweep(action="plot") == 2
    assert "collect it first" in capsys.readouterr().err
    assert sweep(action="collect") == 0
    assert sweep(action="plot") == 0


def test_two_that_share_a_store_may_end_at_one_moment(sweep, tmp_path):
    assert sweep(action="run") == 0
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: sweep(action="collect"), range(8)))
    assert codes == [0] * 8
    assert not list((tmp_path / "out").glob("saving_*"))


def test_a_folder_with_the_first_file_half_written_is_nobodys(sweep, tmp_path):
    assert sweep(action="run") == 0
    (tmp_path / "out").mkdir()
    (tmp_path / "out/saving_1_manifest.json").write_text("{")
    assert sweep(action="collect") == 0
    assert files(tmp_path / "out") >= FILES


def test_a_collection_that_was_killed_is_made_again(
    sweep, tmp_path, monkeypatch
):
    assert sweep(action="run") == 0

    def kill(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "tiny_gpt.commands.sweeping.results.summarise_cells", kill
        )
        assert sweep(action="collect") == 130
    assert "cells.csv" not in files(tmp_path / "out")
    assert sweep(action="plot") == 2
    assert sweep() == 0
    assert files(tmp_path / "out") >= FILES
    # What is not ours is left.
    (tmp_path / "out/manifest.json").unlink()
    assert sweep(action="collect") == 2


def test_what_others_made_is_fetched_before_it_is_collected(sweep, tmp_path):
    url = f"file://{tmp_path}/shared"
    assert sweep("--shared", url, action="run") == 0
    other = "--store", str(tmp_path / "elsewhere"), "--shared", url
    assert sweep(*other, action="collect") == 0
    assert len(pd.read_csv(tmp_path / "out/runs.csv")) == 4


def test_time_left_stands_in_a_log(sweep, capsys):
    assert sweep(action="run") == 0
    said = capsys.readouterr().out
    assert "4 runs to train" in said
    assert "1 of 4 runs, " in said
    assert " left" in said


@pytest.mark.parametrize("executor", ["processes", "ray"])
def test_executors_are_called_with_what_was_asked(sweep, monkeypatch, executor):
    asked, closed = [], []

    class Executor:
        def __init__(self, option, *_, **__):
            self.option = option

        def __call__(self, store, tasks):
            asked.append((len(tasks), self.option))
            return in_process(store, tasks, 1)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            closed.append(self)

    name = {"processes": "Pool", "ray": "Cluster"}[executor]
    monkeypatch.setattr(executors, name, Executor)
    options = {"processes": ["--jobs", "3"], "ray": ["--address", "auto"]}
    assert sweep("--executor", executor, *options[executor]) == 0
    assert len(closed) == 1
    assert asked == [(4, {"processes": 3, "ray": "auto"}[executor])]


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--jobs", "2", "x.toml"],
        ["--jobs", "2", "run", "x.toml"],
        ["run", "x.toml", "--jobs", "2"],
    ],
)
def test_options_may_stand_anywhere(words):
    found = parse_arguments(["sweep", *words])
    assert (found.action, found.file, found.jobs) == ("run", Path("x.toml"), 2)
    found = parse_arguments(["sweep", "--jobs", "2", "x.toml"])
    assert (found.action, found.file) == (None, Path("x.toml"))


def test_the_command_is_the_first_word(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--backend", "jax", "sweep"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "argument COMMAND: invalid choice: 'jax'" in error
    assert "'sweep'" in error


@pytest.mark.slow
def test_weights_are_kept_and_forgotten(sweep, tmp_path, capsys):
    assert sweep("--keep-weights", action="run") == 0
    assert "4 runs trained" in capsys.readouterr().out
    kept = list((tmp_path / "store").glob("cells/*/seed_*.weights.h5"))
    assert len(kept) == 4
    assert sweep(action="forget") == 0
    assert "Weights of 4 runs removed" in capsys.readouterr().out
    assert not any(path.exists() for path in kept)
    assert sweep(action="run") == 0
    assert "0 runs trained" in capsys.readouterr().out
    assert sweep("--keep-weights", action="run") == 0
    assert "4 runs trained" in capsys.readouterr().out
