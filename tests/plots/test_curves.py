"""Tests for tiny_gpt/plots/curves.py."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.plots.curves import (
    MOST_COLUMNS,
    plot_accuracy,
    plot_conditions,
    plot_loss,
)
from tiny_gpt.plots.pairs import plot_against_pairs

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def frame(conditions=("one",)):
    """Two seeds, three epochs; accuracy is seed 0: 0.2 e, seed 1: 0.4."""
    rows = []
    for condition in conditions:
        for seed in (0, 1):
            for epoch in (1, 2, 3):
                start = ("t", condition, seed, epoch, epoch)
                rows.append((*start, "all", "all", "all", "loss", 3.0 - epoch))
                value = 0.4 if seed else 0.2 * epoch
                rows.append((*start, "A->C", "all", "p", "accuracy", value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def labelled(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


def test_the_thick_line_is_the_mean_over_seeds():
    ax = plot_accuracy(frame(), "accuracy", ["A->C"], {"chance": 0.125})
    mean = labelled(ax, "A → C").get_ydata()
    np.testing.assert_allclose(mean, [0.3, 0.4, 0.5])
    thin = [line for line in ax.lines if line.get_linewidth() < 1]
    assert len(thin) == 2  # the seeds
    assert set(labelled(ax, "chance").get_ydata()) == {0.125}


def test_the_loss_is_drawn_per_seed_and_as_a_mean():
    ax = plot_loss(frame())
    np.testing.assert_allclose(labelled(ax, "loss").get_ydata(), [2, 1, 0])
    assert len(ax.lines) == 3


def test_a_longer_published_run_is_stretched_over_ours():
    published = pd.DataFrame(
        {
            "condition": "one",
            "epoch": [1, 2, 3, 4, 5, 6],
            "task": "A->C",
            "metric": "accuracy",
            "value": 0.5,
        }
    )
    figure = plot_conditions(
        frame(("one", "two")), "accuracy", ["A->C"], published=published
    )
    one, two = figure.axes[2], figure.axes[3]
    dashed = [line for line in one.lines if line.get_linestyle() == "--"]
    # Epoch 6 of 6 falls on our epoch 3 of 3.
    assert max(x for line in dashed for x in line.get_xdata()) == 3.0
    assert not [line for line in two.lines if line.get_linestyle() == "--"]
    assert one.get_ylabel() == "Words right"
    assert one.yaxis.get_major_formatter()(0.25) == "25 %"
    assert [ax.get_title() for ax in figure.axes[:2]] == ["one", "two"]
    # Its own epochs stand above the panels of its condition, and only there.
    (upper,) = figure.axes[0].child_axes
    assert upper.get_xlabel() == "Epoch of the published run"
    figure.draw_without_rendering()
    assert upper.get_xlim()[1] == pytest.approx(2 * one.get_xlim()[1])
    assert not figure.axes[1].child_axes
    assert "published run (upper axis)" in legend_of(figure)
    # With as many epochs as ours it needs no axis of its own.
    figure = plot_conditions(
        frame(), "accuracy", ["A->C"], published=published.head(3)
    )
    assert not figure.axes[0].child_axes
    assert "published run" in legend_of(figure)


def legend_of(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_panels_have_the_words_and_the_order_that_are_given():
    metrics = frame(("one", "two"))
    titles = {"two": "50 pairs alone", "missing": "", "one": "no pairs"}
    figure = plot_conditions(metrics, "accuracy", ["A->C"], titles=titles)
    found = [ax.get_title() for ax in figure.axes]
    assert found == ["50 pairs alone", "no pairs", "", ""]


def test_panels_share_their_axes():
    metrics = frame(("one", "two"))
    is_short = (metrics["condition"] == "two") & (metrics["epoch"] > 2)
    higher = metrics["value"] + 5 * (metrics["metric"] == "loss")
    metrics["value"] = higher.where(metrics["condition"] == "two", other=1.0)
    figure = plot_conditions(metrics[~is_short], "accuracy", ["A->C"])
    one, two, below_one, below_two = figure.axes
    assert one.get_ylim() == two.get_ylim()
    assert one.get_ylim()[1] > 7
    assert below_one.get_ylim() == below_two.get_ylim() == (-0.03, 1.03)
    # The epochs of a condition are its own.
    assert one.get_xlim() == below_one.get_xlim() == (0, 1.03 * 3)
    assert two.get_xlim() == below_two.get_xlim() == (0, 1.03 * 2)
    assert [bool(ax.get_ylabel()) for ax in figure.axes] == [True, False] * 2
    shown = [ax.yaxis.get_tick_params()["labelleft"] for ax in figure.axes]
    assert shown == [True, False] * 2


def test_many_conditions_go_below_each_other():
    names = [f"condition_{n}" for n in range(MOST_COLUMNS + 1)]
    metrics = frame(names)
    metrics.loc[metrics["condition"] == names[-1], "value"] += 5
    figure = plot_conditions(metrics, "accuracy", ["A->C"])
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == names
    assert len(figure.axes) == 2 * len(names)
    first, last = figure.axes[0], figure.axes[-2]
    assert last.get_title() == names[-1]
    assert first.get_ylim() == last.get_ylim() == (0, pytest.approx(7.35))
    figure.draw_without_rendering()
    assert first.get_position().x0 == pytest.approx(last.get_position().x0)


def test_the_published_loss_and_the_printed_accuracy_are_in_sight():
    published = pd.DataFrame(
        {
            "condition": "one",
            "epoch": [1, 2, 3],
            "task": "all",
            "metric": "loss",
            "value": 7.5,
        }
    )
    printed = {"one": {"A->C": 0.65}}
    figure = plot_conditions(
        frame(), "accuracy", ["A->C"], None, published, printed
    )
    above, below = figure.axes[:2]
    assert above.get_ylim()[1] > 7.5
    stars = [line for line in below.lines if line.get_marker() == "*"]
    (star,) = [line for line in stars if len(line.get_xdata())]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (3, 0.65)


def test_the_exact_evaluation_is_not_a_point_of_the_curve():
    exact = frame().query("metric == 'accuracy' and epoch == 3")
    exact = exact.assign(tier="all_sentences", value=0.0)
    both = pd.concat([frame(), exact])
    mean = labelled(plot_accuracy(both, "accuracy", ["A->C"]), "A → C")
    np.testing.assert_allclose(mean.get_ydata(), [0.3, 0.4, 0.5])


def test_accuracy_against_pairs_has_a_dot_for_each_seed():
    series = [
        {
            "label": "real",
            "x": [4, 8],
            "values": [[0.1, 0.3], [0.5, 0.7]],
            "mean": [0.2, 0.6],
            "low": [0.1, 0.4],
            "high": [0.3, 0.8],
        },
        {
            "label": "one seed",
            "x": [4, 8],
            "values": [[0.1], [0.5]],
            "mean": [0.1, 0.5],
            "low": [None, None],
            "high": [None, None],
        },
    ]
    figure = plot_against_pairs(series, {"chance": 0.125}, "A->C accuracy")
    ax = figure.axes[0]
    np.testing.assert_allclose(labelled(ax, "real").get_ydata(), [0.2, 0.6])
    dots = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in dots] == [2, 2, 1, 1]
    assert len(ax.collections) == 1  # one seed has no interval
    assert [t.get_text() for t in ax.get_xticklabels()] == ["4", "8"]
    assert ax.get_ylabel() == "A → C accuracy"
