"""Tests for tiny_gpt/report/condition_figures.py."""

import numpy as np
import pandas as pd
import pytest

from tests.helpers.scripted_report import scripted_report
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report.condition_figures import (
    plot_condition_accuracy,
    plot_condition_loss,
    show_accuracy,
    show_loss,
)
from tiny_gpt.report.svg import to_svg


def accuracy_rows():
    rows = scripted_report()["metrics"]
    return rows[
        (rows["metric"] == "accuracy_aligned")
        & (rows["tier"] == "all")
        & (rows["prompt"] == "2_demonstrations")
    ]


def accuracy_axes(events):
    figure = plot_condition_accuracy(
        accuracy_rows(),
        ["A->B", "A->C"],
        ["A->C"],
        {"A->B": 0.125, "A->C": 0.125},
        {"A->C": 0.151},
        events,
    )
    return figure.axes[0]


def test_each_kind_of_event_has_a_row_of_strokes_and_its_name():
    scripted = scripted_report()["events"]
    rise = scripted.assign(event="rise", epoch=3)
    ax = accuracy_axes(pd.concat([scripted, scripted, rise]))
    *_, drops, rises = ax.lines
    for line, epoch in ((drops, 2), (rises, 3)):
        np.testing.assert_array_equal(line.get_xdata(), [epoch] * 3)  # once
    assert min(drops.get_ydata()) > 1  # above the axes
    assert np.nanmax(drops.get_ydata()) < np.nanmin(rises.get_ydata())
    names = [text.get_text() for text in ax.texts]
    assert names[-2:] == ["loss drops", "rises"]


def test_baselines_are_drawn_once_each():
    ax = accuracy_axes(scripted_report()["events"].iloc[:0])
    levels = [line for line in ax.lines if line.get_linestyle() in (":", "-.")]
    assert [line.get_ydata()[0] for line in levels] == [0.151, 0.125]
    names = {text.get_text().replace("\xa0", " ") for text in ax.texts}
    assert {"A → B", "A → C", "chance 12.5 %", "memoriser 15.1 %"} == names


def test_the_seeds_of_sparse_mappings_are_lines():
    ax = accuracy_axes(scripted_report()["events"].iloc[:0])
    thin = [line for line in ax.lines if line.get_linewidth() == 0.7]
    ends = sorted(line.get_ydata()[-1] for line in thin)
    np.testing.assert_allclose(ends, [0.6, 0.8])  # none of A->B, at 1
    means = [line for line in ax.lines if line.get_linewidth() == 2]
    ends = [np.asarray(line.get_ydata())[-1] for line in means]
    np.testing.assert_allclose(ends, [1.0, 0.7])


def test_the_loss_has_a_band_from_the_lowest_to_the_highest_seed():
    rows = scripted_report()["metrics"]
    rows = rows[rows["metric"] == "loss"].copy()
    rows.loc[rows["seed"] == 1, "value"] += 1  # 4, 2.5, 2 beside 3, 1.5, 1
    (ax,) = plot_condition_loss(rows, {}).axes
    (band,) = ax.collections
    heights = set(band.get_paths()[0].vertices[:, 1])
    assert heights == {4, 2.5, 2, 3, 1.5, 1}


def test_a_description_has_the_first_and_the_last_mean():
    condition = scripted_report()["ledger"]["conditions"][0]
    metrics = scripted_report()["metrics"]
    loss = metrics[metrics["metric"] == "loss"]
    label = "mean 3 after epoch 1, 1 after epoch 3"
    assert label in show_loss(condition, loss, "a")["svg"]
    events = scripted_report()["events"]
    shown = show_accuracy(condition, accuracy_rows(), events, "b")["svg"]
    assert "C 30.0\xa0% to 70.0\xa0%" in shown


def test_a_long_run_stays_small():
    epochs = np.arange(1, 391)
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                **dict.fromkeys(COLUMNS, "all"),
                "seed": seed,
                "epoch": epochs,
                "metric": "loss",
                "value": 3 / epochs + 0.02 * rng.normal(size=len(epochs)),
            }
        )
        for seed in range(10)
    ]
    figure = plot_condition_loss(pd.concat(frames), {"told": 0.4})
    # The mean and both ends of the band, 390 points of 10 characters each.
    assert len(to_svg(figure, "x", "")) < 3 * 390 * 10
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0)
