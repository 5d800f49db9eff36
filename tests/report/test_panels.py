"""Tests for tiny_gpt/report/panels.py and the further figures of a claim."""

import numpy as np
import pytest

from tests.helpers.scripted_report import scripted_report
from tiny_gpt.report.claim_figures import show_figure
from tiny_gpt.report.panels import plot_panels
from tiny_gpt.report.schema import check_ledger, figures_of

CLAIM = scripted_report()["ledger"]["claims"][1]


def test_a_panel_shows_means_in_their_bands_on_one_scale():
    panels = CLAIM["more_figures"][0]["panels"]
    figure = plot_panels(panels, "Nats", "Epoch", {"limit": 0.051}, True)
    left, right = figure.axes
    assert [ax.get_title("left") for ax in figure.axes] == ["A->B", "A->C"]
    assert left.get_yscale() == "log"
    assert left.get_ylim() == right.get_ylim()
    ticks = {text.get_text() for text in left.get_yticklabels()}
    assert "0.1" in ticks  # plain numbers, no powers
    mean, level = left.lines
    np.testing.assert_array_equal(mean.get_ydata(), [0.3, 0.1])
    assert set(level.get_ydata()) == {0.051}
    (band,) = left.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert {heights.min(), heights.max()} == {0.2, 0.4}


def test_further_figures_are_shown_after_the_first():
    shown = show_figure(CLAIM)
    (more,) = shown["more"]
    label = more["svg"].replace("\N{NO-BREAK SPACE}", " ")
    assert "A → B: 1 demonstration 0.3 at 1 to 0.1 at 2; A → C: 1" in label
    assert more["svg"] != shown["svg"]
    kinds = [kind for kind, *_ in more["legend"]]
    assert kinds == ["line", "band", "level"]
    # A ledger that was written before has no such key.
    older = {k: v for k, v in CLAIM.items() if k != "more_figures"}
    assert figures_of(older) == [CLAIM["figure"]]
    assert show_figure(older) == {**shown, "more": []}
    assert show_figure({**older, "figure": None}) is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("mean", [0.1], "'mean': 1"), ("low", None, r"no \['low'\]")],
)
def test_what_is_wrong_in_a_panel_is_named(key, value, message):
    ledger = scripted_report()["ledger"]
    panel = ledger["claims"][1]["more_figures"][0]["panels"][1]
    if value is None:
        del panel["series"][0][key]
    else:
        panel["series"][0][key] = value
    with pytest.raises(ValueError, match=message):
        check_ledger(ledger)
