"""Tests for training/many_seeds.py: every run is that of `train.run`."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY
from tiny_gpt.callbacks import load_checkpoint
from tiny_gpt.runtime.files import hash_arrays
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.train import run
from tiny_gpt.training import compiled_runs
from tiny_gpt.training.finished import load_finished
from tiny_gpt.training.many_seeds import SeedBatches, run_jobs, run_seeds
from tiny_gpt.training.run_setup import Job

if keras.backend.backend() != "jax":
    pytest.skip("programs of whole epochs need JAX", allow_module_level=True)

import jax

# 16 windows and more at once, so that a CPU computes them feature-major.
WIDE = dataclasses.replace(
    TINY,
    task=dataclasses.replace(
        TINY.task,
        mixture=dataclasses.replace(
            TINY.task.mixture,
            components=(Component("A->B", 90), Component("A->C", 30)),
        ),
    ),
    train=dataclasses.replace(TINY.train, batch_size=16),
)


def assert_same_run(found, expected, rtol=1e-4):
    left, right = found.metrics, expected.metrics
    pd.testing.assert_frame_equal(
        left.drop(columns="value"), right.drop(columns="value")
    )
    losses = left["metric"].str.startswith("loss")
    np.testing.assert_allclose(
        left["value"][losses], right["value"][losses], rtol=rtol
    )
    pd.testing.assert_frame_equal(found.events, expected.events, rtol=1e-3)
    for a, b in zip(
        found.model.get_weights(), expected.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


@pytest.fixture(scope="module")
def alone():
    return {seed: run(WIDE, seed) for seed in (1, 2, 3)}


# One after the other, side by side, and as one batch.
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"num_workers": 1}, marks=pytest.mark.slow),
        {"num_workers": 3},
        {"seeds_per_batch": 3},
    ],
    ids=str,
)
def test_each_run_is_the_one_that_fit_gives(options, alone):
    runs = run_seeds(WIDE, alone, **options)
    for found, expected in zip(runs, alone.values(), strict=True):
        assert_same_run(found, expected)
    losses = [r.metrics.query("metric == 'loss'")["value"] for r in runs]
    assert abs(losses[0].to_numpy() - losses[1].to_numpy()).min() > 1e-3


@pytest.mark.slow
def test_runs_with_and_without_weight_decay_do_not_share_an_update(alone):
    decayed = dataclasses.replace(
        WIDE, train=dataclasses.replace(WIDE.train, weight_decay=3.0)
    )
    jobs = [Job(WIDE, 1), Job(decayed, 1)]
    runs = dict(run_jobs(jobs, num_workers=1))
    assert_same_run(runs[jobs[0]], alone[1])
    assert_same_run(runs[jobs[1]], run(decayed, 1))
    norms = [
        run.metrics.query("metric == 'weight_norm'")["value"].iloc[-1]
        for run in runs.values()
    ]
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.slow
def test_conditions_and_learning_rates_share_a_program(monkeypatch):
    made = []
    original = compiled_runs.EpochProgram
    compiled_runs.forget_programs()
    monkeypatch.setattr(
        compiled_runs,
        "EpochProgram",
        lambda *args: made.append(args) or original(*args),
    )
    fast = dataclasses.replace(
        WIDE, train=dataclasses.replace(WIDE.train, learning_rate=5e-2)
    )
    other = dataclasses.replace(
        WIDE,
        condition="two",
        task=dataclasses.replace(
            WIDE.task,
            mixture=dataclasses.replace(
                WIDE.task.mixture,
                components=(Component("A->B", 60), Component("A->C", 2)),
            ),
        ),
    )
    jobs = [Job(e, 1) for e in (WIDE, fast, other)]
    runs = dict(run_jobs(jobs))
    assert len(made) == 1
    for job in jobs:
        assert_same_run(runs[job], run(job.experiment, 1), rtol=1e-3)
    rates = [
        runs[job].metrics.query("metric == 'loss'")["value"].iloc[-1]
        for job in jobs[:2]
    ]
    assert abs(rates[0] - rates[1]) > 0.01


@pytest.mark.slow
def test_pretraining_reads_one_phase_after_the_other():
    (found,) = run_seeds(PRETRAINED, [1])
    assert_same_run(found, run(PRETRAINED, 1))


def test_an_interrupted_run_continues(alone, tmp_path):
    records = {seed: tmp_path / f"seed_{seed}" for seed in alone}

    def stop(job, epoch, logs):
        if job.seed == 2 and epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_seeds(
            WIDE,
            alone,
            records.get,
            num_workers=1,
            on_epoch=stop,
            save_every_s=0,
        )
    assert load_finished(WIDE, 1, records[1]) is not None
    assert load_finished(WIDE, 2, records[2]) is None
    epochs = []
    rest = [seed for seed in alone if seed != 1]
    runs = run_seeds(
        WIDE,
        rest,
        records.get,
        num_workers=1,
        on_epoch=lambda job, epoch, logs: epochs.append((job.seed, epoch)),
    )
    # Seed 2 goes on after epoch 2, seed 3 starts; another one is finished.
    assert epochs == [(2, 3), (2, 4), (3, 1), (3, 2), (3, 3), (3, 4)]
    for found, seed in zip(runs, rest, strict=True):
        assert_same_run(found, alone[seed])
    # To the bit what the same programs give without a break.
    never_stopped = run_seeds(WIDE, rest, num_workers=1)
    for found, expected in zip(runs, never_stopped, strict=True):
        pd.testing.assert_frame_equal(
            found.metrics, expected.metrics, check_exact=True
        )
        weights = [
            hash_arrays(r.model.get_weights()) for r in (found, expected)
        ]
        assert weights[0] == weights[1]
    with pytest.raises(ValueError, match="finished run cannot be continued"):
        run_seeds(WIDE, [1], records.get)


def test_weights_can_be_kept_by_epoch(tmp_path):
    job = Job(WIDE, 1, tmp_path / "seed_1", keeps_weights=True)
    ((_, found),) = run_jobs([job], num_workers=1)
    # 10^(i/4) = 1, 1.8, 3.2; and the last of 4 epochs.
    paths = sorted((tmp_path / "seed_1_weights").glob("*.weights.h5"))
    names = [f"epoch_{epoch:06d}.weights.h5" for epoch in (1, 2, 3, 4)]
    assert [path.name for path in paths] == names
    model = WIDE.model.build()
    info = load_checkpoint(paths[-1], model)
    weights = [hash_arrays(m.get_weights()) for m in (found.model, model)]
    assert [info["weights_hash"]] * 2 == weights
    assert info["step"] == found.metrics["step"].max()


def test_an_error_in_a_run_is_raised():
    def fail(job, epoch, logs):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_seeds(TINY, [0, 1, 2], on_epoch=fail)


@pytest.mark.slow
def test_in_float64_the_two_ways_are_one():
    jax.config.update("jax_enable_x64", True)  # in the workers' threads, too
    keras.config.set_floatx("float64")
    try:
        (found,) = run_seeds(WIDE, [1], num_workers=1)
        (batched, _) = run_seeds(WIDE, [1, 2], seeds_per_batch=2)
        expected = run(WIDE, 1)
    finally:
        jax.config.update("jax_enable_x64", False)
        keras.config.set_floatx("float32")
    for each in (found, batched):
        assert str(each.model.variables[0].dtype) == "float64"
        losses = each.metrics["metric"] == "loss"
        np.testing.assert_allclose(
            each.metrics["value"][losses],
            expected.metrics["value"][losses],
            rtol=1e-8,
        )


@pytest.mark.slow
def test_the_packs_are_told_before_they_train():
    told, trained = [], []
    run_seeds(
        WIDE,
        [1, 2, 3],
        seeds_per_batch=2,
        num_workers=1,
        on_start=lambda seed_batches: told.append((seed_batches, len(trained))),
        on_epoch=lambda *epoch: trained.append(epoch),
    )
    assert told == [(SeedBatches(1, (2, 1), is_split=False), 0)]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"num_workers": 0}, "num_workers=0"),
        ({"seeds_per_batch": 0}, "seeds_per_batch=0"),
    ],
)
def test_bad_numbers_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        run_seeds(TINY, [0], **options)


def test_a_bad_seed_is_refused_before_anything_is_trained():
    def fail(job, epoch, logs):
        raise AssertionError("trained")

    with pytest.raises(ValueError, match="seed=-1"):
        run_seeds(TINY, [0, -1], on_epoch=fail)
