"""Tests for tiny_gpt/report/figures.py."""

import numpy as np
from matplotlib.text import Text

from tiny_gpt.report.figures import fit_beside, plot_series, plot_strip

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
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["a", "70 %", "chance 12.5 %"]
    (chance,) = ax.collections
    assert {x for x, _ in chance.get_segments()[0]} == {0.125}


def test_no_level_runs_through_a_text():
    groups = [
        {**GROUP, "label": name, "low": 0.5, "high": 0.9} for name in "ab"
    ]
    lines = {"chance": 0.125, "most": 0.95}
    figure = plot_strip(groups, ["70 %"] * 2, "Accuracy", lines, True)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [text.get_window_extent() for text in ax.texts]
    levels = [
        ax.transData.transform(segment)
        for level in ax.collections
        for segment in level.get_segments()
    ]
    for box in boxes:
        for (x, one), (_, other) in levels:
            is_beside = not box.x0 < x < box.x1
            below, above = sorted((one, other))
            assert is_beside or above <= box.y0 or below >= box.y1
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[n + 1 :])


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


def test_names_stand_at_the_ends_of_lines_and_apart():
    series = [{**SERIES, "label": name} for name in ("a", "b", "c")]
    figure = plot_series(series, "Loss", "x", {"chance": 0.78}, False)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert {t.get_text() for t in ax.texts} == {"a", "b", "c", "chance 0.78"}
    assert sorted(text.xy[0] for text in ax.texts)[:3] == [16, 16, 16]
    assert {text.xy[1] for text in ax.texts} == {0.8, 0.78}
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    for n, box in enumerate(boxes):
        assert box.x0 > ax.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[n + 1 :])


def test_long_names_are_left_to_a_legend():
    assert fit_beside(["A → C", "chance 12.5 %"])
    assert not fit_beside(["beside A → B and B → C"])
    assert not fit_beside(list("abcdefgh"))
    figure = plot_series(
        [{**SERIES, "label": 30 * "a"}], "Loss", "x", {}, False
    )
    assert not figure.axes[0].texts
