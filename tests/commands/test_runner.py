"""Tests for tiny_gpt/commands/runner.py: runs into the store, then a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.scripted_training import Training
from tiny_gpt.commands.main import main
from tiny_gpt.runtime.processes import LostWorkersError
from tiny_gpt.sweep import run, tasks
from tiny_gpt.sweep.kept_weights import load_model
from tiny_gpt.sweep.store import Store

ROOT = Path(__file__).parents[2]
FILE = """
import dataclasses
from benchmarks.tiny_runs import TINY
from tiny_gpt.commands.study import Study

STUDY = Study(
    name="mine",
    conditions={"one": "first", "two": "second", "again": "first again"},
    build_experiment=lambda preset, condition: dataclasses.replace(
        TINY,
        name="mine",
        condition=condition,
        train=dataclasses.replace(
            TINY.train, num_epochs=2 if condition == "two" else 3
        ),
    ),
    sparse=("A->C",),
    presets=("quick",),
)
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    # `main` sets them for the process that it is started in.
    for name in ("JAX_COMPILATION_CACHE_DIR", "NPROC"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    name = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
    monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setattr(run, "POLL_S", 0.01)


@pytest.fixture
def command(tmp_path):
    """Returns the command line of a study; further options may follow."""
    (tmp_path / "mine.py").write_text(FILE)
    where = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    seeds = ["--seeds", "2", "--first-seed", "1"]
    return [
        "run",
        str(tmp_path / "mine.py"),
        *where,
        *seeds,
        "--backend",
        "jax",
    ]


@pytest.fixture
def training(monkeypatch):
    scripted = Training()
    monkeypatch.setattr(tasks, "_train", scripted)
    return scripted


def key_of(store, condition):
    from tiny_gpt.commands.study import load_study

    study = load_study(str(store.folder.parent / "mine.py"))
    return store.key(study.build("quick", condition))


def test_a_run_of_two_conditions_is_made_once(command, training, tmp_path):
    training_made = training.made
    assert main(command) == 0
    store = Store(tmp_path / "store")
    one, two = key_of(store, "one"), key_of(store, "two")
    assert key_of(store, "again") == one
    assert sorted(training_made) == sorted(
        (key[:16], seed) for key in (one, two) for seed in (1, 2)
    )
    frame = pd.read_csv(tmp_path / "out" / "metrics.csv")
    found = frame.groupby("condition")["seed"].unique().map(list).to_dict()
    assert found == {name: [1, 2] for name in ("one", "two", "again")}


def test_a_folder_is_made_again_from_the_store(command, training, tmp_path):
    assert main(command) == 0
    out = tmp_path / "out"
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    for path in out.iterdir():
        path.unlink()
    num_made = len(training.made)
    assert main(command) == 0
    assert len(training.made) == num_made
    after = {p.name: p.read_bytes() for p in out.iterdir()}
    assert after.keys() == before.keys()
    differing = {name for name in after if after[name] != before[name]}
    assert differing <= {"manifest.json"}  # the time


def test_a_failed_run_stops_no_other(command, training, tmp_path, capsys):
    store = Store(tmp_path / "store")
    two = key_of(store, "two")
    training._fails = lambda job: (
        (job.experiment.condition, job.seed)
        == (
            two[:16],
            2,
        )
    )
    assert main(command) == 1
    said = capsys.readouterr().err
    assert f"{two[:12]} seed 2: ArithmeticError: it diverged" in said
    assert "error: 1 runs have failed. All others are kept" in said
    assert "Traceback" in said  # of one's own code, perhaps
    assert store.seeds(key_of(store, "one")) == {1, 2}
    assert store.seeds(two) == {1}
    # Nothing was drawn as if it were whole.
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "unfinished"
    assert not (tmp_path / "out" / "metrics.csv").exists()
    del training.made[:]
    training._fails = lambda job: False
    assert main(command) == 0
    assert training.made == [(two[:16], 2)]


def test_used_up_memory_of_a_run_is_explained(command, training, capsys):
    def fails(job):
        raise RuntimeError("RESOURCE_EXHAUSTED: 9 bytes")

    training._fails = fails
    assert main(command) == 1
    assert "--seeds-per-batch 1" in capsys.readouterr().err


def test_lost_workers_are_told_without_a_traceback(
    command, training, monkeypatch, capsys
):
    def lose(*_, **__):
        raise LostWorkersError("Worker processes were killed 3 times")

    monkeypatch.setattr("tiny_gpt.commands.runner.run_sweep", lose)
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.endswith("error: Worker processes were killed 3 times\n")
    assert "Traceback" not in said


def test_shards_make_all_runs_and_the_whole_draws(
    command, training, tmp_path, capsys
):
    for index in range(3):
        assert main([*command, "--shard", f"{index}/3"]) == 0
        assert "The same command without --shard draws" in " ".join(
            capsys.readouterr().out.split()
        )
    assert len(set(training.made)) == len(training.made) == 4
    assert not (tmp_path / "out" / "metrics.csv").exists()
    assert main(command) == 0
    assert len(training.made) == 4
    assert (tmp_path / "out" / "metrics.csv").exists()


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--shard", "3/3"], "--shard 3/3"),
        (["--jobs", "0"], "`--jobs` must be at least 1"),
        (["--address", "auto"], "needs --executor ray"),
        (["--executor", "ray", "--jobs", "2"], "--jobs 2"),
        (["--executor", "ray", "--distributed"], "--distributed"),
        (["--executor", "ray", "--devices", "tpu"], "tpu"),
        (["--first-seed", "-1"], "--first-seed"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    options, rule, command, training, tmp_path, capsys
):
    assert main([*command, *options]) == 2
    assert rule in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "store").exists()
    assert training.made == []


def test_a_store_of_another_version_is_refused(command, training, tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "store.json").write_text('{"format": 99}')
    assert main(command) == 2
    assert [p.name for p in folder.iterdir()] == ["store.json"]
    assert training.made == []


def test_runs_of_another_command_are_waited_for(
    command, training, tmp_path, monkeypatch
):
    store = Store(tmp_path / "store")
    key = key_of(store, "one")
    lease, polls = store.lease(key, 2), []

    def wait(seconds):
        polls.append(seconds)
        if len(polls) == 3:  # the other process has died
            lease.release()

    monkeypatch.setattr("time.sleep", wait)
    assert main(command) == 0
    assert len(polls) == 3
    assert len(training.made) == 4


@pytest.mark.slow
def test_weights_and_epochs_are_kept_where_they_are_asked_for(
    command, tmp_path
):
    assert main([*command, "--conditions", "two"]) == 0
    store = Store(tmp_path / "store")
    key = key_of(store, "two")
    assert not store.weights(key, 1).exists()
    asked = ["--conditions", "two", "--keep-weights", "--checkpoints"]
    assert main([*command, *asked]) == 0
    kept = sorted(store.epochs(key, 1).glob("epoch_*"))
    assert kept
    assert load_model(store, TINY_TWO, 1) is not None
    assert not any((tmp_path / "store" / "running").iterdir())
    before = [path.stat().st_mtime_ns for path in kept]
    assert main([*command, *asked]) == 0
    assert [path.stat().st_mtime_ns for path in kept] == before


TINY_TWO = TINY.__class__(
    **{
        **vars(TINY),
        "train": TINY.train.__class__(**{**vars(TINY.train), "num_epochs": 2}),
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_two_commands_share_a_store_and_a_folder(executor, command, tmp_path):
    # One thread a program, so that both executors have the same bits.
    environment = {**os.environ, "KERAS_BACKEND": "jax", "NPROC": "1"}
    line = [sys.executable, "-m", "experiments", *command]
    running = [
        subprocess.Popen(
            [*line, "--executor", executor],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    store = Store(tmp_path / "store")
    assert store.seeds(key_of(store, "one"), checks=True) == {1, 2}
    assert store.seeds(key_of(store, "two"), checks=True) == {1, 2}
    assert not any((store.folder / "running").iterdir())
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "finished"


@pytest.mark.devices
def test_devices_of_one_command_share_its_runs(command, tmp_path):
    frames = {}
    for num_devices in (1, 4):
        flag = f"--xla_force_host_platform_device_count={num_devices}"
        name = str(num_devices)
        out, store = tmp_path / name, tmp_path / f"store_{name}"
        where = ["--out", str(out), "--store", str(store)]
        done = subprocess.run(
            [sys.executable, "-m", "experiments", *command, *where],
            env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flag},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        said = "4 seed batches of 1 at most, dealt to 4 devices." in done.stdout
        assert said == (num_devices == 4)
        frames[num_devices] = pd.read_csv(out / "metrics.csv")
    losses = [frame.query("metric == 'loss'") for frame in frames.values()]
    pd.testing.assert_frame_equal(*losses, rtol=1e-5)


MEASUREMENT = """
from tests.helpers import tiny_measurement as norm

NAME, NEEDS = norm.NAME, ("mine/one",)

def measure(trained, seed):
    return norm.measure({"x/y": trained[NEEDS[0]]}, seed)
"""


@pytest.mark.slow
def test_trained_networks_are_measured_where_a_study_says_so(
    command, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "measured_here.py").write_text(MEASUREMENT)
    path = tmp_path / "mine.py"
    measured = 'presets=("quick",),\n    measurements=(measured_here,),'
    path.write_text(
        "import measured_here\n" + FILE.replace('presets=("quick",),', measured)
    )
    # The network that is measured is not among these.
    assert main([*command, "--conditions", "two"]) == 0
    out = tmp_path / "out" / "measured.csv"
    assert not out.exists()
    assert main([*command, "--conditions", "one", "two"]) == 0
    frame = pd.read_csv(out)
    assert set(zip(frame["experiment"], frame["condition"], strict=True)) == {
        ("mine", "norm")
    }
    assert frame["seed"].tolist() == [1, 2]
    assert (frame["value"] > 0).all()
    store = Store(tmp_path / "store")
    kept = {
        name: list(store.folder.glob(f"**/*{key_of(store, name)[:8]}*/*.h5"))
        for name in ("one", "two")
    }
    assert kept["one"]
    assert not kept["two"]
