"""Tests for experiments/extra_figures.py."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from experiments.claims.section_2.contexts import NEAR_BAYES
from experiments.extra_figures import more_figures
from experiments.measurements import contexts, contexts_by_epoch
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report.schema import FIGURE_KEYS

DOCS = Path(__file__).parents[2] / "docs"
CLAIM = "assumption_1_bayes"
SEEDS = (3, 4)


def evidence_of(seeds=SEEDS):
    rows = [
        (
            *("theory", contexts_by_epoch.NAME, seed, epoch, 26 * epoch),
            *(mapping, "count_50:word_1"),
            *(contexts.demonstrated(num, mapping), "kl_from_bayes"),
            (num + 1) * seed / epoch,
        )
        for seed in seeds
        for mapping in contexts_by_epoch.MAPPINGS
        for num in range(3)
        for epoch in (1, 2)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return Evidence(frame, SEEDS, None, pd.DataFrame(), 0.95)


def test_a_panel_per_mapping_and_a_line_per_number_of_demonstrations():
    (figure,) = more_figures(CLAIM, evidence_of())
    assert set(FIGURE_KEYS["panels"][0].split()) <= set(figure)
    labels = [panel["label"] for panel in figure["panels"]]
    assert labels == ["A->B", "B->C", "A->C"]
    line = figure["panels"][2]["series"][1]
    assert line == {
        "label": "1 demonstration",
        "x": [1, 2],
        "values": [[6.0, 8.0], [3.0, 4.0]],
        "mean": [7.0, 3.5],
        "low": [6.0, 3.0],
        "high": [8.0, 4.0],
    }
    assert figure["lines"] == pytest.approx({"limit of the rule": 0.0512933})


def test_what_was_not_measured_is_not_drawn():
    assert more_figures(CLAIM, evidence_of(seeds=SEEDS[:1])) == []
    nothing = dataclasses.replace(
        evidence_of(), metrics=evidence_of().metrics.iloc[:0]
    )
    assert more_figures(CLAIM, nothing) == []
    assert more_figures("proposition_3", evidence_of()) == []


def test_the_page_says_what_its_frame_holds():
    pages = ("theory.md", "theory_details.md")
    page = "\n".join((DOCS / name).read_text() for name in pages)
    frame = pd.read_csv(DOCS / "runs" / "theory_fresh" / "metrics.csv.gz")
    frame = frame[frame["condition"] == contexts_by_epoch.NAME]
    seeds = sorted(set(frame["seed"]))
    assert f"(seeds {seeds[0]} to {seeds[-1]};" in page

    def by_seed(mapping, num, metric="kl_from_bayes"):
        prompt = contexts.demonstrated(num, mapping)
        rows = frame[(frame["prompt"] == prompt) & (frame["metric"] == metric)]
        return rows.pivot(index="epoch", columns="seed", values="value")

    def said(values):
        ends = f"({values.min():.2f} to {values.max():.2f})"
        return f"{values.mean():.2f} nats {ends}"

    # Within the limit once and for all: the epoch after the last outside.
    last = [
        by_seed(mapping, num)[lambda x: x > NEAR_BAYES].apply(
            pd.Series.last_valid_index
        )
        for mapping in ("A->B", "B->C")
        for num in (1, 2)
    ]
    epochs = pd.concat(last) + 1
    first, final = int(epochs.min()), int(epochs.max())
    assert f"at epochs {first} to {final} and stays there" in page
    shown = by_seed("A->C", 2)
    assert f"is {said(shown.loc[1])} from Bayes at epoch 1" in page
    peaks = shown.idxmax()
    assert (
        f"at most {said(shown.max())}, at epochs {peaks.min()} to {peaks.max()}"
    ) in page
    assert f"{said(shown.loc[15])} at epoch 15, in no seed" in page
    assert shown.min().min() > NEAR_BAYES
    outside = by_seed("A->C", 2, "outside_right_words").loc[15].mean()
    assert f"{100 * outside:.0f} % of its probability then" in page
    bare = by_seed("A->B", 0)
    pd.testing.assert_frame_equal(bare, by_seed("A->C", 0))
    assert f"{said(bare.loc[15])} are left" in page
