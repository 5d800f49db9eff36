"""Tests for experiments/descriptions.py."""

import dataclasses

import pandas as pd
import pytest

from experiments.claims.evidence import Evidence
from experiments.descriptions import more_figures
from experiments.measurements import contexts, contexts_by_epoch
from tiny_gpt.ledger import FIGURE_KEYS
from tiny_gpt.metrics import COLUMNS

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
