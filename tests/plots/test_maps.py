"""Tests for tiny_gpt/plots/maps.py and plots_thresholds.py."""

import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from tiny_gpt.plots.maps import REGIME_COLOURS, plot_maps, plot_regimes
from tiny_gpt.plots.thresholds import (
    draw_on_map,
    name_axis,
    name_value,
    plot_thresholds,
)

mpl.use("Agg")
NAN, INF = math.nan, math.inf
PAIRS, SIZES = [4, 8, 16, 32], [4, 8, 16]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def frame(conditions=("real", "scrambled"), sizes=SIZES):
    """P(success) is pairs / 32, the median half of it; one is not run."""
    rows = []
    for condition in conditions:
        for size in sizes:
            for pairs in PAIRS:
                runs = 0 if (pairs, size) == (32, 16) else 8
                share = pairs / 32 if runs else NAN
                successes = pairs // 4 if runs else 0
                regime = "generalises" if pairs > 8 else "memorises"
                row = (
                    pairs,
                    size,
                    condition,
                    runs,
                    successes,
                    share,
                    share / 2,
                )
                rows.append((*row, regime if runs else "unknown"))
    columns = [
        "sparse_pairs",
        "alphabet_size",
        "condition",
        "runs",
        "successes",
    ]
    return pd.DataFrame(
        rows, columns=[*columns, "p_success", "median", "regime"]
    )


def maps_of(figure):
    return [ax for ax in figure.axes if ax.get_images()]


def legend(figure):
    (box,) = figure.legends
    return [text.get_text() for text in box.get_texts()]


def test_each_facet_has_a_map_of_the_share_and_one_of_the_median():
    figure = plot_maps(frame(), "sparse_pairs", "alphabet_size", ["condition"])
    maps = maps_of(figure)
    assert len(maps) == 4
    values = [np.asarray(ax.get_images()[0].get_array()) for ax in maps]
    expected = np.tile(np.array(PAIRS) / 32, (3, 1))
    expected[2, 3] = NAN  # alphabet 16 is the upper row
    np.testing.assert_array_equal(np.ma.filled(values[0], NAN), expected)
    np.testing.assert_array_equal(np.ma.filled(values[2], NAN), expected / 2)
    assert [ax.get_title() for ax in maps[:2]] == ["real", "scrambled"]
    assert [t.get_text() for t in maps[2].get_xticklabels()] == [
        "4",
        "8",
        "16",
        "32",
    ]
    assert maps[2].get_xlabel() == "sentence pairs of the sparse mapping"
    assert figure.get_supylabel() == "words per language"
    bars = [ax.get_ylabel() for ax in figure.axes if ax not in maps]
    assert bars == ["P(success)", "median over seeds"]


def test_cells_have_their_counts_and_those_not_run_are_hatched():
    figure = plot_maps(frame(("real",)), "sparse_pairs", "alphabet_size")
    share, median = maps_of(figure)
    texts = [t.get_text() for t in share.texts]
    assert texts == ["1/8", "2/8", "4/8", "8/8"] * 2 + ["1/8", "2/8", "4/8"]
    assert median.texts[3].get_text() == "50"
    (patch,) = share.patches
    assert patch.get_hatch()
    assert patch.get_xy() == (2.5, 1.5)
    assert legend(figure) == ["not run"]


@pytest.mark.slow
def test_many_cells_have_no_numbers():
    many = pd.concat([frame(), frame()] * 7).reset_index(drop=True)
    many["learning_rate"] = np.repeat(range(14), len(frame()))
    figure = plot_maps(
        many, "sparse_pairs", "alphabet_size", ["condition", "learning_rate"]
    )
    maps = maps_of(figure)
    assert len(maps) == 2 * 28
    assert not any(ax.texts for ax in maps)
    assert maps[0].get_title() == "real, learning rate: 0"
    # Four to a row.
    assert len({round(ax.get_position().x0, 3) for ax in maps}) == 4


def test_a_map_of_one_axis_is_a_row():
    figure = plot_maps(
        frame(("real",), [4]),
        "sparse_pairs",
        thresholds={(): (16.0, 8.0, 32.0)},
    )
    share, _ = maps_of(figure)
    assert share.get_images()[0].get_array().shape == (1, 4)
    dots = [line for line in share.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[2]]


def test_thresholds_lie_between_columns_on_the_log_scale():
    _, ax = plt.subplots()
    lines = [
        (0, (math.sqrt(8 * 16), 8.0, 32.0)),
        (1, (0.0, 0.0, 4.0)),
        (2, (INF, 32.0, INF)),
        (3, (NAN, 0.0, INF)),
        (4, (16.0, NAN, NAN)),  # one seed: no bar
    ]
    draw_on_map(ax, lines, PAIRS)
    points = {line.get_marker(): line.get_xdata() for line in ax.lines}
    assert points["o"] == pytest.approx([1.5, 2], rel=1e-12)
    assert list(points["<"]) == [-0.4]
    assert list(points[">"]) == [3.4]
    assert "X" in points
    bars, path = (line.get_xydata() for line in ax.lines[1:4:2])
    # At each row two ends and a gap; the heights are a little above it.
    assert [(x, int(y)) for x, y in bars if x == x] == [
        (1, 0),
        (3, 0),
        (-0.5, 1),
        (0, 1),
        (3, 2),
        (3.5, 2),
    ]
    assert np.isnan(path).all(axis=1).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_an_interval_that_starts_at_no_samples_has_room_for_them():
    _, ax = plt.subplots()
    draw_on_map(ax, [(0, (4.0, 0.0, INF))], [0, 4, 8])
    bar = ax.lines[1].get_xdata()
    assert list(bar[:2]) == [0.5, 2.5]  # left of 4 pairs, not of none


def test_the_legend_names_what_is_drawn():
    lines = {(4,): (16.0, 8.0, 32.0), (8,): (INF, 32.0, INF)}
    figure = plot_maps(
        frame(("real",)), "sparse_pairs", "alphabet_size", thresholds=lines
    )
    assert legend(figure) == [
        "threshold, with its interval",
        "threshold outside the grid",
        "not run",
    ]


def test_regimes_have_a_colour_and_a_letter():
    figure = plot_regimes(
        frame(), "sparse_pairs", "alphabet_size", ["condition"]
    )
    first, second = maps_of(figure)
    assert [t.get_text() for t in first.texts][:4] == ["M", "M", "G", "G"]
    assert len(second.texts) == 11
    image = first.get_images()[0]
    found = image.cmap(image.norm(image.get_array()[0, 3]))
    assert found == to_rgba(REGIME_COLOURS["generalises"][0])
    assert legend(figure) == ["M  memorises", "G  generalises", "not run"]


THRESHOLDS = {
    (4, "real"): (10.0, 8.0, 12.0),
    (8, "real"): (20.0, 16.0, 24.0),
    (16, "real"): (INF, 64.0, INF),
    (4, "scrambled"): (0.0, 0.0, 4.0),
}
LAW = {
    "exponent": 1.0,
    "low": 0.8,
    "high": 1.25,
    "factor": 2.5,
    "warnings": ["only 2 thresholds, fewer than 4"],
}


def plot():
    return plot_thresholds(
        THRESHOLDS,
        "sparse_pairs",
        "alphabet_size",
        ["condition"],
        {("real",): LAW, ("scrambled",): {"exponent": None, "warnings": []}},
        "t",
    ).axes[0]


def test_thresholds_against_an_axis_have_bars_and_a_law():
    ax = plot()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    (law,) = [
        x for x in ax.lines if x.get_linestyle() == "--" and len(x.get_xdata())
    ]
    # 2.5 x, between those that are known.
    np.testing.assert_allclose(law.get_xydata(), [[4, 10], [8, 20]])
    bars = [x.get_ydata() for x in ax.lines if x.get_linestyle() == "-"]
    assert [list(b) for b in bars[:2]] == [[8, 12], [16, 24]]
    bottom, top = ax.get_ylim()
    assert list(bars[2]) == [64, top]
    assert list(bars[3]) == [bottom, 4]
    markers = [x.get_marker() for x in ax.lines if x.get_linestyle() == "None"]
    assert markers == ["o", "o", "^", "v"]


def test_the_exponent_and_its_warnings_are_told():
    ax = plot()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [
        "real: exponent 1.00 (0.80 to 1.25)",
        "scrambled: no exponent",
    ]
    assert ax.get_xlabel().splitlines() == [
        "words per language",
        "",
        "real: only 2 thresholds, fewer than 4",
    ]
    assert "sentence pairs of the sparse mapping" in ax.get_ylabel()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["4", "8", "16"]


def test_there_is_something_to_draw():
    with pytest.raises(ValueError, match=r"above 0\. Received: thresholds="):
        plot_thresholds({(0,): (1.0, 1.0, 1.0)}, "sparse_pairs", "epochs")


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("epochs", "epochs"),
        ("model.num_layers", "layers"),
        ("train.batch_size", "batch size"),
        ("mixture.components.A->C.num_held_out", "held out of A → C"),
    ],
)
def test_axes_are_named_in_words(axis, words):
    assert name_axis(axis) == words


def test_values_are_named_with_their_axis():
    assert name_value("learning_rate", 0.001) == "learning rate: 0.001"
    assert name_value("condition", "real") == "real"
    assert name_value("tokens", "words") == "tokens: words"


def test_no_text_of_a_map_lies_on_another():
    figure = plot_maps(
        frame(), "sparse_pairs", "alphabet_size", ["condition"], title="title"
    )
    figure.canvas.draw()
    texts = [figure._suptitle, figure._supylabel, *figure.legends]
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
        texts += [*ax.get_xticklabels(), *ax.get_yticklabels()]
    boxes = [
        t.get_window_extent()
        for t in texts
        if t.get_visible() and (not hasattr(t, "get_text") or t.get_text())
    ]
    boxes = [b for b in boxes if b.width > 1]
    assert len(boxes) > 20
    overlaps = [
        (a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)
    ]
    assert overlaps == []
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width + 1
