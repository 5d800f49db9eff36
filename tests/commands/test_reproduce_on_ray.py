"""`make reproduce EXECUTOR=ray`, on a real cluster of this machine."""

import dataclasses
import os
import signal
import threading

import pytest

from benchmarks.tiny_runs import TINY
from experiments import reproduction
from experiments.__main__ import main
from tests.helpers.killed_workers import wait_until
from tests.helpers.ray_cluster import cluster, nodes, tasks
from tiny_gpt.commands.reporting.reproduce import ReproductionPlan
from tiny_gpt.runtime.environment import count_cores

__all__ = ["cluster", "nodes"]  # fixtures
pytestmark = pytest.mark.ray


def shrunk(study, rates):
    """Returns two conditions of a study, tiny, and long enough to be killed."""
    conditions = dict(list(study.conditions.items())[:2])

    def build(preset, condition):
        rate = rates[list(conditions).index(condition)]
        return dataclasses.replace(
            TINY,
            name=study.name,
            condition=condition,
            train=dataclasses.replace(
                TINY.train, num_epochs=40, learning_rate=rate
            ),
        )

    return dataclasses.replace(
        study,
        conditions=conditions,
        build_experiment=build,
        sparse=("A->C",),
        titles={},
        paper_accuracy={},
        published=None,
    )


@pytest.fixture
def reproduce(monkeypatch, tmp_path):
    """Returns what runs the command on miniatures, into a folder."""
    # Otherwise one thread, and other bits than in this process.
    monkeypatch.setenv("NPROC", str(count_cores()))
    whole = reproduction.REPRODUCTION
    studies = tuple(
        shrunk(study, (0.01 + 0.001 * i, 0.02 + 0.001 * i))
        for i, study in enumerate(whole.studies)
    )
    tiny = dataclasses.replace(whole, studies=studies)
    monkeypatch.setattr(reproduction, "REPRODUCTION", tiny)
    # Rules are about other runs.
    monkeypatch.setattr(ReproductionPlan, "_write", lambda *_: None)

    def run(name, *options):
        out, store = tmp_path / name, tmp_path / f"{name}_store"
        where = ["--out", str(out), "--store", str(store), "--backend", "jax"]
        assert main(["reproduce", "--seeds", "1", *where, *options]) == 0
        frames = {
            f"{path.parent.name}/{path.name}": path.read_bytes()
            for path in sorted(out.glob("*/*.csv"))
        }
        weights = sorted(p.name for p in store.glob("cells/*/*.weights.h5"))
        assert not any((store / "running").iterdir())
        return frames, weights

    return run


def test_a_killed_worker_and_node_change_no_frame(nodes, reproduce):
    made, (lost, _) = nodes
    killed = []

    def kill():
        killed.append(wait_until(tasks)[0])
        os.kill(killed[0], signal.SIGKILL)
        wait_until(lambda: len(set(tasks()) - set(killed)) == 2)
        killed.append(made.remove_node(lost, allow_graceful=False))

    killer = threading.Thread(target=kill)
    killer.start()
    disturbed = reproduce("ray", "--executor", "ray")
    killer.join()
    assert len(killed) == 2
    frames, weights = reproduce("here")
    assert len(frames) == 2 * len(reproduction.REPRODUCTION.studies)
    assert disturbed == (frames, weights)
    assert len(weights) == 2  # of what is measured
