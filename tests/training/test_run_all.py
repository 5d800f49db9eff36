"""Tests for run_all of train.py: each route gives the run of `fit`."""

import dataclasses
import multiprocessing

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY, with_task
from tiny_gpt import train
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.runtime.processes import Stopped
from tiny_gpt.train import run, run_all
from tiny_gpt.training.finished import load_finished
from tiny_gpt.training.run_files import Record
from tiny_gpt.training.run_setup import Job
from tiny_gpt.training.seed_batches import SeedBatches

pytestmark = pytest.mark.backend

IS_JAX = keras.backend.backend() == "jax"
SEEDS = (1, 2)
# Little is asked, so that little is compiled.
SMALL = dataclasses.replace(
    with_task(TINY, pivots=()),
    evaluation=EvaluationConfig(
        "cached",
        8,
        1,
        num_fresh_sentences=0,
        num_loss_windows=0,
        exact_demonstrations=(),
        is_asked_after_others=False,
    ),
)


@pytest.fixture(scope="module")
def alone():
    """Returns the metrics of each seed, of `run` by itself."""
    return {seed: run(SMALL, seed).metrics for seed in SEEDS}


def jobs_in(folder):
    return [Job(SMALL, seed, folder / f"seed_{seed}") for seed in SEEDS]


def assert_same(found, expected):
    """Compares metrics frames; on JAX, of two programs."""
    if not IS_JAX:
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        return
    pd.testing.assert_frame_equal(
        found.drop(columns="value"), expected.drop(columns="value")
    )
    losses = found["metric"].str.startswith("loss")
    np.testing.assert_allclose(
        found["value"][losses], expected["value"][losses], rtol=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [None, 2] if IS_JAX else [None])
def test_each_route_gives_the_frames_of_one_run(num_workers, alone, tmp_path):
    jobs, told, epochs = jobs_in(tmp_path), [], []
    found = dict(
        run_all(
            jobs,
            num_workers,
            on_start=told.append,
            on_epoch=lambda job, epoch, logs: epochs.append((job.seed, epoch)),
        )
    )
    assert set(found) == set(jobs)
    (batches,) = told
    assert isinstance(batches, SeedBatches)
    assert batches.sizes == (1, 1)
    for job, done in found.items():
        metrics, _, _ = load_finished(SMALL, job.seed, job.record)
        assert_same(metrics, alone[job.seed])
        pd.testing.assert_frame_equal(done.metrics, metrics)
    by_epoch = range(1, SMALL.train.num_epochs + 1)
    expected = [(seed, epoch) for seed in SEEDS for epoch in by_epoch]
    assert sorted(epochs) == expected
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_run_that_is_stopped_after_an_epoch_keeps_it(alone, tmp_path):
    job, never = jobs_in(tmp_path)[0], 1e9

    def stop(job, epoch, logs):
        if epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        list(run_all([job], 1, on_epoch=stop, save_every_s=never))
    assert len(Record(SMALL, job.seed, job.record).logs) == 2
    ((_, done),) = run_all([job], 1)
    assert_same(done.metrics, alone[job.seed])


def test_every_run_through_fit_has_the_precision_that_was_set(
    monkeypatch, tmp_path
):
    found = []
    monkeypatch.setattr(
        train, "run", lambda *_: found.append(keras.config.dtype_policy().name)
    )
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
        list(run_all(jobs_in(tmp_path)))
    finally:
        keras.config.set_dtype_policy(policy)
    assert found == ["mixed_bfloat16"] * 2


@pytest.mark.slow
def test_callbacks_see_every_epoch():
    seen = []

    def callbacks(job):
        return [
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: seen.append((job.seed, epoch))
            )
        ]

    list(run_all([Job(SMALL, seed) for seed in SEEDS], 1, callbacks=callbacks))
    epochs = range(SMALL.train.num_epochs)
    assert seen == [(seed, epoch) for seed in SEEDS for epoch in epochs]


@pytest.mark.parametrize(
    ("backend", "route"), [("jax", "run_jobs"), ("torch", "run")]
)
def test_the_backend_chooses(backend, route, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    for name in ("run_jobs", "run"):
        monkeypatch.setattr(
            train, name, lambda *_, name=name: calls.append(name) or ()
        )
    list(run_all(jobs_in(tmp_path)))
    assert set(calls) == {route}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"num_workers": 0}, "num_workers=0"),
        ({"seeds_per_batch": 0}, "seeds_per_batch=0"),
        ({"seeds_per_batch": 2}, "seeds_per_batch=2 on torch"),
        ({"num_workers": 2}, "num_workers=2 on torch"),
    ],
)
def test_what_fit_cannot_do_is_refused(options, rule, monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setattr(train, "run", None)  # before anything is trained
    with pytest.raises(ValueError, match=rule):
        list(run_all(jobs_in(tmp_path), **options))


def test_a_bad_job_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match="seed=-1"):
        next(run_all([Job(SMALL, 1), Job(SMALL, -1)], 1))
