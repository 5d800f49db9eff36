"""`make theory`: what it runs, measures and decides."""

import dataclasses
import json
import time
from types import ModuleType

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.tiny_runs import TINY
from experiments import controls, theory
from experiments.__main__ import main
from experiments.reproduction import REPRODUCTION
from tests.helpers import tiny_measurement
from tests.helpers.scripted_runs import write_runs
from tiny_gpt.claims.rule import UNDECIDED
from tiny_gpt.commands.executors import Making
from tiny_gpt.commands.measuring import measure_plan
from tiny_gpt.commands.plan import Plan
from tiny_gpt.commands.reporting.reproduce import ReproductionPlan
from tiny_gpt.report import schema
from tiny_gpt.runtime.devices import choose_devices
from tiny_gpt.runtime.results_folder import (
    FORMAT,
    read_manifest,
    write_manifest,
)
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

SEEDS = (0, 1)
BY_TARGET = {
    target: [
        claim
        for family, claims in REPRODUCTION.families.items()
        if family.target == target
        for claim in claims
    ]
    for target in ("reproduce", "theory")
}
CLAIMS, THEORY = BY_TARGET.values()


@pytest.fixture(autouse=True)
def _keep_the_environment(monkeypatch):
    # `main` sets them for the process that it is started in.
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")


def tiny_plan(study, folder, conditions):
    evaluation = dataclasses.replace(TINY.evaluation, exact_demonstrations=(1,))
    experiments = tuple(
        dataclasses.replace(
            TINY, name=study.name, condition=c, evaluation=evaluation
        )
        for c in conditions
    )
    return Plan(
        study=study,
        preset="quick",
        experiments=experiments,
        seeds=SEEDS,
        precision="float32",
        folder=folder / study.name,
        overwrite=False,
        command=("test",),
        commit="test",
        store=folder / "store",
    )


@pytest.mark.slow
def test_it_runs_what_is_measured_and_no_more(tmp_path, monkeypatch):
    ours = tiny_plan(theory.STUDY, tmp_path, ("count_50",))
    names = ("sparse_a_to_c", "a_to_c_alone_equal_tokens", "held_out_1")
    other = tiny_plan(controls.STUDY, tmp_path, names)
    alike, *rest = other.experiments
    rest = [
        dataclasses.replace(e, train=dataclasses.replace(e.train, num_epochs=n))
        for n, e in enumerate(rest, start=1)
    ]
    other = dataclasses.replace(other, experiments=(alike, *rest))
    for plan in (ours, other):
        plan.reserve()
    asked = []

    def measure(trained, seed):
        asked.append((seed, {p: t.experiment for p, t in trained.items()}))
        return [("A->C", "all", "all", "number", float(seed))]

    places = ("controls/sparse_a_to_c", "theory/count_50")
    module = ModuleType("scripted")
    vars(module).update(NAME="scripted", NEEDS=places, measure=measure)
    studies = (controls.STUDY,)
    protocol = dataclasses.replace(
        REPRODUCTION, measurements=(module,), studies=studies
    )
    made = ReproductionPlan(
        protocol, (other,), tmp_path, False, "test", ours, making()
    )
    monkeypatch.setattr(ReproductionPlan, "_write", lambda *_: None)
    made.run("theory")

    store = ours.open_store()
    runs = [other.experiments[0], other.experiments[1], ours.experiments[0]]
    # The same cell of two experiments is one.
    keys = {store.key(experiment) for experiment in runs}
    trained = {p.name for p in (tmp_path / "store" / "cells").iterdir()}
    assert len(keys) == 2
    assert trained == keys
    # Weights are there for what is measured.
    for experiment, is_kept in zip(runs, (True, False, True), strict=True):
        key = store.key(experiment)
        assert store.weights(key, 0).exists() == is_kept
    assert (tmp_path / "theory/metrics.csv").exists()
    assert [seed for seed, _ in asked] == [0, 1]
    experiments = asked[0][1]
    assert experiments["controls/sparse_a_to_c"] == other.experiments[0]
    assert experiments["theory/count_50"] == ours.experiments[0]
    frame = pd.read_csv(tmp_path / "theory/measured.csv")
    assert frame["value"].tolist() == [0.0, 1.0]
    # Once more: nothing is left to do.
    made.run("theory")
    assert len(asked) == 2


@pytest.mark.slow
def test_processes_measure_what_this_one_measures(tmp_path, capsys):
    plan = tiny_plan(theory.STUDY, tmp_path, ("count_50",))
    (labelled,) = plan.experiments
    labelled = dataclasses.replace(labelled, name="x", condition="y")
    plan = dataclasses.replace(
        plan, experiments=(labelled,), keeps_weights=True
    )
    plan.reserve()
    run_sweep(plan, plan.open_store(), lambda s, t: in_process(s, t, 1))
    protocol = dataclasses.replace(
        REPRODUCTION, measurements=(tiny_measurement,)
    )
    frames = []
    for num_processes in (2, 1):
        measure_plan(protocol.measurements, plan, (), num_processes, Console())
        frames.append(pd.read_csv(plan.folder / "measured.csv"))
        for path in (plan.store / "measured").iterdir():
            path.unlink()
    assert len(frames[0]) == len(SEEDS)
    pd.testing.assert_frame_equal(*frames)
    assert capsys.readouterr().out.count("measured, ") == 4


def making():
    return Making("threads", choose_devices(), num_workers=1)


def report(folder):
    assert main(["report", *arguments(folder)]) == 0
    return json.loads((folder / "claims.json").read_text())


def arguments(folder):
    where = ["--out", str(folder), "--store", str(folder.parent / "store")]
    return [*where, "--seeds", str(len(SEEDS))]


@pytest.fixture
def reproduced(tmp_path):
    """Returns the folder of a reproduction without the theory."""
    write_runs(Store(tmp_path / "store"), seeds=SEEDS)
    folder = tmp_path / "out"
    folder.mkdir()
    config = {
        "experiment": "reproduce",
        "preset": "quick",
        "seeds": list(SEEDS),
        "backend": "jax",
        "precision": "float32",
    }
    manifest = {"format": FORMAT, "status": "finished", "config": config}
    write_manifest(folder, manifest)
    return folder


@pytest.mark.slow
def test_the_theory_joins_the_report_when_it_is_there(reproduced):
    for name in ("triangle", "controls", "four_languages"):
        (reproduced / name).mkdir()
        write_manifest(reproduced / name, {"format": FORMAT, "config": {}})
    names = [c["name"] for c in report(reproduced)["claims"]]
    assert names == [c.name for c in CLAIMS]
    (reproduced / "theory").mkdir()
    write_manifest(reproduced / "theory", {"format": FORMAT, "config": {}})
    found = report(reproduced)
    schema.check_ledger(found)
    entries = {c["name"]: c for c in found["claims"]}
    assert list(entries) == [c.name for c in (*CLAIMS, *THEORY)]
    families = {f["name"]: f["num_intervals"] for f in found["families"]}
    assert families == {f.name: f.num_intervals for f in REPRODUCTION.families}
    # Without its runs nothing is decided but arithmetic.
    for claim in THEORY:
        entry = entries[claim.name]
        assert entry["command"].startswith("make theory")
        if claim.conditions:
            assert entry["observation"] == UNDECIDED, claim.name
            assert "Runs are missing" in entry["because"]
    assert any("theory/pivot" in line for line in found["missing"])


@pytest.mark.slow
def test_its_manifest_has_the_seconds_of_the_whole(reproduced, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[-1])
    monkeypatch.setattr(
        "tiny_gpt.commands.reporting.reproduce.measure_plan",
        lambda *given: clock.append(1800.0),
    )
    # No run of the theory is there.
    monkeypatch.setattr(ReproductionPlan, "make", lambda *given: None)
    monkeypatch.setattr(
        "tiny_gpt.commands.reporting.reproduce.write_folder", lambda *_: None
    )
    assert main(["theory", *arguments(reproduced)]) == 0
    assert read_manifest(reproduced)["last_command_s"] == 1800.0


def test_the_theory_has_a_level_of_its_own():
    expected = 1 - 0.05 / sum(claim.num_intervals for claim in THEORY)
    (family,) = {claim.family for claim in THEORY}
    assert family.interval_level == pytest.approx(expected)
    names = [c.name for c in (*CLAIMS, *THEORY)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "paper"], "preset"),
        (["--conditions", "count_50"], "claims need all"),
    ],
)
def test_what_it_cannot_do_is_refused(tmp_path, capsys, arguments, message):
    assert main(["theory", "--out", str(tmp_path / "x"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
