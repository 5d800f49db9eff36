"""Tests for tiny_gpt/report/figures.py."""

import numpy as np
import pandas as pd
import pytest

from tests.helpers.scripted_report import scripted_report
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report.figures import (
    plot_condition_accuracy,
    plot_condition_loss,
    plot_series,
    plot_strip,
)
from tiny_gpt.report.svg import to_svg

GROUP = {"label": "a", "values": [0.6, 0.8], "mean": 0.7}
SERIES = {
    "label": "A->C",
    "x": [4, 8, 16],
    "values": [[0.2, 0.4], [0.6, None], [0.8, 0.8]],
    "mean": [0.3, 0.6, 0.8],
    "low": [0.2, None, 0.8],
    "high": [0.4, None, 0.8],
}


def test_a_strip_shows_each_seed_the_mean_and_the_interval():
    group = {**GROUP, "low": 0.5, "high": 0.9}
    figure = plot_strip([group], ["70 %"], "Accuracy", {"chance": 0.125}, True)
    (ax,) = figure.axes
    dots, interval, mean = (line.get_xdata() for line in ax.lines)
    np.testing.assert_array_equal(dots, [0.6, 0.8])
    np.testing.assert_array_equal(interval, [0.5, 0.9])
    np.testing.assert_array_equal(mean, [0.7])
    assert [text.get_text() for text in ax.texts] == ["a", "70 %"]
    (chance,) = ax.collections
    assert {x for x, _ in chance.get_segments()[0]} == {0.125}


def test_a_long_name_has_its_row_to_itself():
    group = {**GROUP, "low": None, "high": None, "label": "x" * 50}
    figure = plot_strip([group], ["70 %"], "Accuracy", {}, True)
    assert [text.get_text() for text in figure.axes[0].texts] == ["x" * 50]


def test_percent_never_hides_a_value():
    group = {**GROUP, "low": -0.4, "high": 1.5}
    figure = plot_strip([group], [""], "Accuracy lost", {}, True)
    left, right = figure.axes[0].get_xlim()
    assert left < -0.4
    assert right > 1.5


def test_seeds_are_dots_along_a_curve_and_lines_over_epochs():
    for has_seed_lines, num_lines in ((False, 3), (True, 2)):
        figure = plot_series(
            [SERIES],
            "Loss",
            "x",
            {},
            False,
            has_seed_lines=has_seed_lines,
        )
        *seeds, mean = figure.axes[0].lines
        assert len(seeds) == num_lines  # three x, or two seeds
        np.testing.assert_array_equal(mean.get_ydata(), [0.3, 0.6, 0.8])
        values = np.concatenate([line.get_ydata() for line in seeds])
        assert sorted(values[~np.isnan(values)]) == [0.2, 0.4, 0.6, 0.8, 0.8]


def test_levels_and_marks_are_where_they_belong():
    lines, marks = {"floor": 0.5}, {"crossing": 6.0}
    figure = plot_series([SERIES], "Loss", "Epoch", lines, False, marks)
    level, mark = figure.axes[0].lines[-2:]
    assert set(level.get_ydata()) == {0.5}
    assert set(mark.get_xdata()) == {6.0}


def test_a_logarithmic_axis_is_marked_in_plain_numbers():
    figure = plot_series([SERIES], "Loss", "Pairs", {}, False, log_x=True)
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ["4", "8", "16"]


def accuracy_axes(events):
    rows = scripted_report()["metrics"]
    figure = plot_condition_accuracy(
        rows[rows["tier"] == "all"],
        "accuracy_aligned",
        ["A->B", "A->C"],
        {"A->B": 0.125, "A->C": 0.125},
        {"A->C": 0.151},
        events,
        ["floor_crossed", "loss_drop"],
    )
    return figure.axes[0]


def test_events_have_the_same_mark_in_every_condition():
    ax = accuracy_axes(scripted_report()["events"])
    *_, event = ax.lines
    assert event.get_marker() == "x"  # the second kind, though the only one
    np.testing.assert_array_equal(event.get_xdata(), [2])


def test_baselines_are_drawn_once_each():
    ax = accuracy_axes(scripted_report()["events"].iloc[:0])
    levels = [line for line in ax.lines if line.get_linestyle() in (":", "-.")]
    assert [line.get_ydata()[0] for line in levels] == [0.151, 0.125]


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
    # Eleven curves of 390 points, 15 characters each at most.
    assert len(to_svg(figure, "x", "")) < 11 * 390 * 15
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0)
