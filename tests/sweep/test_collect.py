"""Tests for tiny_gpt/sweep/rows.py and collect.py, without training."""

import dataclasses
import io
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY
from tests.helpers.tiny_sweeps import SCRAMBLED, SUCCESS, tiny_sweep
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.runtime.files import seal
from tiny_gpt.sweep.cell import content_of
from tiny_gpt.sweep.collect import (
    axes_of_map,
    collect_metrics,
    collect_runs,
    describe_exponent,
    describe_threshold,
    fit_exponents,
    fit_thresholds,
    summarise_cells,
)
from tiny_gpt.sweep.grid import Success
from tiny_gpt.sweep.rows import RUN_COLUMNS
from tiny_gpt.sweep.store import Store

NAN, INF = math.nan, math.inf
PROMPT = "1_demonstrations"
SCRIPTED = RUN_COLUMNS[: RUN_COLUMNS.index("wall_s") + 1]
MADE = {
    "host": "here",
    "devices": ["cpu"],
    "versions": {"jax": "1", "tensorflow": "1", "keras": "3"},
    "python": "3.11",
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def finish(store, cell, seed, unseen=0.9, seen=0.8, logs=None, wall_s=1.5):
    """Leaves what a run that ended with these accuracies leaves."""
    key = store.key(cell.experiment)
    exact = [
        ["A->C", tier, PROMPT, "accuracy_aligned", value]
        for tier, value in (
            ("unseen_sentences", unseen),
            ("seen_sentences", seen),
        )
        if value is not None
    ]
    exact += [  # nothing of this counts
        ["A->C", "unseen_sentences", "0_demonstrations", "accuracy_aligned", 0],
        ["A->C", "unseen_sentences", PROMPT, "rank", 7.0],
        ["A->B", "unseen_sentences", PROMPT, "accuracy_aligned", 0.1],
    ]
    logs = logs or [{"loss": 1.0, "loss_above_floor": 0.25}] * 2
    content = content_of(cell.experiment, store.precision)
    values = {"logs": logs, "exact": exact, "wall_s": wall_s, "made": MADE}
    store.put(key, seed, seal({"key": key, "seed": seed, **content, **values}))


def test_a_run_is_a_row(store):
    sweep = tiny_sweep({"sparse_pairs": [4, 10], "epochs": [2, 3]}, fixed={})
    curve = [0.1, None, 0.6]
    logs = [
        {"loss": 2.0, "a_to_c_accuracy_aligned": value, "loss_above_floor": 0.5}
        for value in curve
    ]
    finish(store, sweep.cells[3], 2, unseen=0.5, logs=logs)
    runs = collect_runs(sweep, store)
    assert list(runs) == ["sparse_pairs", "epochs", *RUN_COLUMNS]
    # 2 updates an epoch; the curve reaches 0.5 after the third.
    assert runs[["sparse_pairs", "epochs", *SCRIPTED]].to_numpy().tolist() == [
        [10, 3, "real", 2, 0.5, True, 0.5, 0.8, 0.5, 3, 6, 6, 1.5]
    ]


def test_what_is_not_there_is_nan(store):
    sweep = tiny_sweep()
    logs = [{"loss": 1.0, "a_to_c_accuracy_aligned": 0.1}]
    finish(store, sweep.cells[0], 1, unseen=None, seen=None, logs=logs)
    finish(store, sweep.cells[1], 1, unseen=0.4)
    first, second = collect_runs(sweep, store).to_dict("records")
    assert first["is_success"] is None
    for name in ("value", "value_unseen", "value_seen", "loss_above_floor"):
        assert math.isnan(first[name])
    assert first["updates_to_success"] == INF
    assert second["is_success"] is False
    assert math.isnan(second["updates_to_success"])  # no sample was asked


def test_the_sample_that_is_asked_while_training_can_count(store):
    success = Success("A->C", "exact_match_aligned", "all", 0.5)
    sweep = tiny_sweep(success=success)
    logs = [{"a_to_c_exact_match_aligned": v} for v in (0.1, 0.7)]
    finish(store, sweep.cells[0], 1, logs=logs)
    (run,) = collect_runs(sweep, store).to_dict("records")
    assert (run["value"], run["is_success"]) == (0.7, True)


def test_a_sweep_takes_its_own_seeds_and_cells(store):
    sweep = tiny_sweep(seeds=(1, 2))
    others = tiny_sweep({"sparse_pairs": [7]})
    for seed in (1, 2, 3):
        finish(store, sweep.cells[0], seed)
    finish(store, others.cells[0], 1)
    runs = collect_runs(sweep, store)
    assert list(runs["seed"]) == [1, 2]
    assert set(runs["sparse_pairs"]) == {4}


def test_a_store_without_a_run_makes_empty_frames(store):
    sweep = tiny_sweep()
    runs = collect_runs(sweep, store)
    assert list(runs) == ["sparse_pairs", *RUN_COLUMNS]
    assert len(runs) == 0
    assert collect_metrics(sweep, store).empty
    assert fit_thresholds(sweep, runs) == {}
    cells = summarise_cells(sweep, runs)
    assert list(cells["runs"]) == [0, 0]
    assert list(cells["regime"]) == ["unknown", "unknown"]
    assert cells["p_success"].isna().all()


def test_a_damaged_file_is_a_missing_run(store):
    sweep = tiny_sweep()
    finish(store, sweep.cells[0], 1)
    finish(store, sweep.cells[0], 2)
    path = store.path(store.key(sweep.cells[0].experiment), 1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match="set aside"):
        runs = collect_runs(sweep, store)
    assert list(runs["seed"]) == [2]


def test_words_are_text_that_survives_a_csv_file(store):
    axes = {
        "sparse_pairs": [4, 10],
        "mixture.components.A->C.is_distinct": [False, True],
        "evaluation.exact_demonstrations": [[1], [1, 0]],
    }
    sweep = tiny_sweep(axes, fixed={"mixture.components.A->C.num_repeats": 2})
    for cell in sweep.cells:
        finish(store, cell, 1)
    runs = collect_runs(sweep, store)
    assert set(runs["mixture.components.A->C.is_distinct"]) == {"no", "yes"}
    assert set(runs["evaluation.exact_demonstrations"]) == {"[1]", "[1, 0]"}
    again = pd.read_csv(io.StringIO(runs.to_csv(index=False)))
    for axis in axes:
        assert list(again[axis]) == list(runs[axis])
    assert len(fit_thresholds(sweep, again)) == 4
    assert list(summarise_cells(sweep, runs)["runs"]) == [1] * 8


def test_the_metrics_frame_has_a_column_per_axis(store):
    sweep = tiny_sweep({"sparse_pairs": [4, 10], "tokens": ["words"]})
    finish(store, sweep.cells[1], 2)
    frame = collect_metrics(sweep, store)
    assert list(frame) == [*COLUMNS, "sparse_pairs", "tokens"]
    assert set(frame["sparse_pairs"]) == {10}
    loss = frame[frame["metric"] == "loss"]
    assert list(loss["value"]) == [1.0, 1.0]
    assert set(frame["experiment"]) == {"small"}


def test_axes_of_numbers_come_in_their_order():
    sweep = tiny_sweep(
        {"tokens": ["words"], "epochs": [1, 2], "sparse_pairs": [4]}, fixed={}
    )
    assert axes_of_map(sweep.axes) == (["epochs", "sparse_pairs"], ["tokens"])
    flags = tiny_sweep(
        {"mixture.components.A->C.is_distinct": [False], "sparse_pairs": [4]}
    )
    assert axes_of_map(flags.axes)[0] == ["sparse_pairs"]


PAIRS = [0, 8, 16, 32, 64, 128, 256]


def frame_of(sweep, threshold_at):
    """Runs whose success begins at a number of pairs, by the other axes."""
    rows = []
    for cell in sweep.cells:
        pairs, *others = cell.values.values()
        for seed in sweep.seeds:
            # Even seeds need twice as much.
            is_success = pairs >= threshold_at(*others) * (2 - seed % 2)
            value = 0.9 if is_success else 0.2
            rest = (value, NAN, 0.5, 2, 4, NAN, 1.0)
            condition = cell.experiment.condition
            point = [v for v in cell.values.values() if v != condition]
            rows.append((*point, condition, seed, value, is_success, *rest))
    axes = [axis for axis in sweep.axes if axis != "condition"]
    return pd.DataFrame(rows, columns=[*axes, *SCRIPTED])


def test_thresholds_lie_along_the_first_axis_at_each_point_of_the_others():
    sweep = tiny_sweep(
        {
            "sparse_pairs": PAIRS,
            "epochs": [1, 2, 4],
            "condition": ["real", "scrambled"],
        },
        seeds=tuple(range(1, 11)),
        bases={"real": TINY, "scrambled": SCRAMBLED},
        fixed={},
    )
    runs = frame_of(sweep, lambda e, c: 16 * e if c == "real" else 1000)
    found = fit_thresholds(sweep, runs)
    assert list(found) == [
        (e, c) for e in (1, 2, 4) for c in ("real", "scrambled")
    ]
    assert {t.censoring for p, t in found.items() if p[1] != "real"} == {
        "above"
    }
    # At e epochs all fail below 16 e, half succeed there, all from 32 e on:
    # the same table, moved by a factor of 2.
    values = [found[e, "real"].value for e in (1, 2)]
    assert 8 < values[0] < 32
    assert values[1] / values[0] == pytest.approx(2, rel=0.1)
    exponents = fit_exponents(sweep, found)
    assert list(exponents) == [("real",), ("scrambled",)]
    assert exponents["real",].num_points == 3
    assert exponents["scrambled",].num_points == 0
    described = describe_exponent(exponents["scrambled",])
    assert described["exponent"] is None
    assert described["warnings"]


def test_runs_that_are_missing_leave_values_out():
    sweep = tiny_sweep({"sparse_pairs": PAIRS}, seeds=tuple(range(1, 11)))
    runs = frame_of(sweep, lambda: 16)
    whole = fit_thresholds(sweep, runs)[()]
    assert 8 < whole.value < 32
    # Neither 0 pairs, of which there is no logarithm, nor unknown values.
    unknown = runs.assign(is_success=runs["is_success"].astype(object))
    unknown.loc[unknown["seed"] > 5, "is_success"] = None
    assert fit_thresholds(sweep, unknown)[()].num_seeds == 5
    assert fit_thresholds(sweep, runs[runs["sparse_pairs"] <= 8]) == {}
    # All seeds are resampled, so that points share them: some have no run.
    one = fit_thresholds(sweep, runs[runs["seed"] == 1])[()]
    assert (0.0, INF) in zip(one.low_draws, one.high_draws, strict=True)
    assert fit_exponents(sweep, {(): whole}) == {}


def test_a_sweep_of_words_has_no_threshold():
    sweep = tiny_sweep({"tokens": ["words"]})
    assert fit_thresholds(sweep, pd.DataFrame()) == {}


def test_cells_are_counted_and_summarised():
    sweep = tiny_sweep({"sparse_pairs": [4, 10, 12]}, seeds=(1, 2, 3, 4, 5))
    columns = ["sparse_pairs", *SCRIPTED]
    rest = (2, 4, NAN, 1.0)
    rows = [
        (4, "real", 1, 0.9, True, 0.9, NAN, NAN, *rest),
        (4, "real", 2, 0.5, True, 0.5, NAN, NAN, *rest),
        (4, "real", 3, 0.1, False, 0.1, 0.9, NAN, *rest),
        (4, "real", 4, NAN, None, NAN, NAN, NAN, *rest),
        (12, "real", 1, 0.1, False, 0.1, NAN, 0.9, *rest),
        (12, "real", 2, 0.2, False, 0.2, 0.9, 0.0, *rest),
    ]
    cells = summarise_cells(sweep, pd.DataFrame(rows, columns=columns))
    assert list(cells["sparse_pairs"]) == [4, 10, 12]
    assert list(cells["runs"]) == [3, 0, 2]
    assert list(cells["successes"]) == [2, 0, 0]
    np.testing.assert_allclose(cells["p_success"], [2 / 3, NAN, 0])
    np.testing.assert_allclose(cells["median"], [0.5, NAN, 0.15])
    # Wilson: 2 of 3 with z = 1.96 is 0.208 to 0.939.
    np.testing.assert_allclose(cells["p_low"][0], 0.2077, atol=5e-5)
    np.testing.assert_allclose(cells["p_high"][0], 0.9385, atol=5e-5)
    # Two of four; none; one "lacks steps", one "memorises": the first of them.
    regimes = ["generalises", "unknown", "memorises"]
    assert list(cells["regime"]) == regimes


def test_a_threshold_is_json():
    sweep = tiny_sweep({"sparse_pairs": PAIRS}, seeds=tuple(range(1, 11)))
    found = fit_thresholds(sweep, frame_of(sweep, lambda: 1000))[()]
    described = describe_threshold(found)
    assert described["value"] is None
    assert described["low"] == 256
    assert described["censoring"] == "above"
    assert "low_draws" not in described


def test_updates_count_those_of_pretraining(store):
    sweep = tiny_sweep(
        {"learning_rate": [0.01]}, bases={"a": PRETRAINED}, fixed={}
    )
    finish(store, sweep.cells[0], 1, logs=[{"loss": 1.0}] * 4)
    (run,) = collect_runs(sweep, store).to_dict("records")
    assert (run["epochs_made"], run["updates_made"]) == (4, 8)
    assert math.isnan(run["loss_above_floor"])


def test_a_threshold_that_nothing_reaches_is_no_success(store):
    sweep = tiny_sweep(success=dataclasses.replace(SUCCESS, threshold=0.95))
    finish(store, sweep.cells[0], 1, unseen=0.9)
    assert list(collect_runs(sweep, store)["is_success"]) == [False]


def test_a_regime_is_of_what_was_not_shown_whatever_counts(store):
    sweep = tiny_sweep(
        {"sparse_pairs": [4]},
        success=Success("A->C", tier="seen_sentences", threshold=0.5),
    )
    finish(store, sweep.cells[0], 1, unseen=0.1, seen=0.9)
    runs = collect_runs(sweep, store)
    assert runs["is_success"].tolist() == [True]
    assert summarise_cells(sweep, runs)["regime"].tolist() == ["memorises"]
