"""A small report by hand: every outcome, every kind of figure, gaps."""

from html.parser import HTMLParser
from typing import Any

import pandas as pd

from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS
from tiny_gpt.report.schema import EXPLANATIONS, OBSERVATIONS

NUM_EPOCHS = 3


class Page(HTMLParser):
    """What stands in a page: tags, attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.tags[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


def scripted_report(is_complete: bool = False) -> dict[str, Any]:
    """Returns the arguments of `render_report`.

    Two seeds of one condition, and one condition without runs. The accuracy
    of A->C at the last epoch is 0.6 for seed 0 and 0.8 for seed 1.
    """
    return {
        "ledger": _ledger(is_complete),
        "metrics": _metrics(),
        "events": pd.DataFrame(
            [
                (
                    *("triangle", "sparse_a_to_c", 0, "loss_drop"),
                    *("all", "all", "loss", 1, 2, 2, 0.4, 1.0, 0.6, "", None),
                )
            ],
            columns=list(EVENT_COLUMNS),
        ),
        "manifest": {
            "format": 1,
            "config": {"precision": "float32"},
            "command": "python -m experiments reproduce --seeds 2",
            "commit": "abc123",
            "devices": ["cpu: cpu"],
            "versions": {"keras": "3.13.0"},
            "wall_s": {"triangle": {"sparse_a_to_c": 100.0, "other": 20.5}},
        },
    }


def _ledger(is_complete: bool) -> dict[str, Any]:
    *kinds, panels = [None, *_figures(), None, _panels()]
    effects = [
        _effect("A->C, unseen sentences", 0.872, 0.801, 0.93, "fraction"),
        _effect("lead", -0.031, -0.06, 0.01, "difference"),
        _effect("one seed", 0.5, None, None, "fraction"),
        _effect("nothing", None, None, None, "nats"),
    ]
    return {
        "format": 2,
        "preset": "quick",
        "seeds": [0, 1],
        "kind": "exploratory",
        "level": 0.95,
        "protocol": {"page": "protocol.md", "commit": "rules12", "rules": {}},
        "families": [
            {
                "name": "section_3",
                "title": "The experiments of section 3",
                "num_claims": 5,
                "num_intervals": 4,
                "interval_level": 0.9875,
            }
        ],
        "missing": [] if is_complete else ["triangle/unrun: seeds 0, 1"],
        "summary": "A->C is learned from 50 sentences.",
        "claims": [
            {
                "name": f"claim_{n}",
                "family": "section_3",
                "title": f"Claim number {n} of A->C",
                "statement": "50 sentences are enough.",
                "source": "Sinha 2024, fig. 2c",
                "decided_on": "quick",
                "conditions": ["triangle/sparse_a_to_c", "triangle/unknown"],
                "statistic": "mean over seeds",
                "rules": {
                    "observation": "confirmed if [lead] > 0",
                    "explanation": "contradicted if [one seed] > 10 %",
                },
                "margin": "Any lead counts.",
                "seen": "Nothing had been seen.",
                "observation": OBSERVATIONS[n % len(OBSERVATIONS)],
                "cause": "It composes.",
                "explanation": explanation,
                "because": "The lead is -3.1 percentage points.",
                "num_seeds": 2,
                "num_intervals": 1,
                "effects": effects if n else [],
                "figure": figure,
                **({"more_figures": [panels]} if n == 1 else {}),
                "command": 'make reproduce ARGS="--only a->c"',
                "hash": "0123456789abcdef",
            }
            for n, (explanation, figure) in enumerate(
                zip(EXPLANATIONS, kinds, strict=True)
            )
        ],
        "conditions": [
            _condition("sparse_a_to_c", [0, 1]),
            _condition("unrun"),
        ],
    }


def _effect(name, value, low, high, unit):
    return {
        "name": name,
        "value": value,
        "low": low,
        "high": high,
        "unit": unit,
    }


def _panels():
    series = {
        "label": "1 demonstration",
        "x": [1, 2],
        "values": [[0.2, 0.4], [0.1, None]],
        "mean": [0.3, 0.1],
        "low": [0.2, None],
        "high": [0.4, None],
    }
    return {
        "kind": "panels",
        "axis": "From Bayes (nats)",
        "x_axis": "Epoch",
        "log_y": True,
        "panels": [
            {"label": label, "series": [series]} for label in ("A->B", "A->C")
        ],
        "lines": {"limit": 0.051},
    }


def _figures():
    series = {
        "label": "A->C",
        "x": [4, 8],
        "values": [[0.2, None], [0.6, 0.8]],
        "mean": [0.2, 0.7],
        "low": [None, 0.6],
        "high": [None, 0.8],
    }
    group = {"values": [0.6, 0.8], "mean": 0.7, "low": None, "high": None}
    empty = {"values": [], "mean": None, "low": None, "high": None}
    long_name = "scrambled_a_to_c_12_matched_updates_of_the_other"
    return [
        {
            "kind": "strip",
            "axis": "Accuracy on unseen sentences",
            "groups": [
                {"label": "sparse_a_to_c", **group},
                {"label": long_name, **empty},
            ],
            "lines": {"chance": 0.125, "memoriser": None},
        },
        {
            "kind": "curve",
            "axis": "Accuracy on unseen sentences",
            "x_axis": "A->C sentence pairs",
            "log_x": True,
            "series": [series, {**series, "label": "scrambled"}],
            "lines": {"chance": 0.125},
        },
        {
            "kind": "epochs",
            "axis": "Training loss (nats per token)",
            "series": [series],
            "lines": {"floor": 0.534},
            "marks": {"loss crosses its floor": 6.0},
        },
    ]


def _condition(name, seeds=()):
    return {
        "experiment": "triangle",
        "condition": name,
        "question": "Are 50 sentences of A->C enough?",
        "mappings": ["A->B", "A->C"],
        "accuracy_metric": "accuracy_aligned",
        "seeds": list(seeds),
        "missing_seeds": [] if seeds else [0, 1],
        "floor": {"told": 0.4, "inferred": 0.534},
        "chance": {"A->B": 0.125, "A->C": 0.125},
        "memoriser": {"A->B": 0.803, "A->C": 0.151},
        "sparse": ["A->C"],
        "num_epochs": NUM_EPOCHS,
        "effects": [
            _effect("A->C: exact match, all", 0.3, 0.2, 0.4, "fraction")
        ],
    }


def _metrics():
    rows: list[tuple] = []
    for seed in (0, 1):
        for epoch in range(1, NUM_EPOCHS + 1):
            start = ("triangle", "sparse_a_to_c", seed, epoch, epoch)
            rows.append((*start, "all", "all", "all", "loss", 3.0 / epoch))
            asked = ("all", "2_demonstrations", "accuracy_aligned")
            rows.append((*start, "A->B", *asked, 1.0))
            rows.append((*start, "A->C", *asked, 0.2 * (epoch + seed)))
        # Asked at the last epoch only, and not drawn.
        rows.append((*start, "A->C", "unseen", *asked[1:], 0.01))
        rows.append((*start, "A->C", "all", "0_demonstrations", asked[2], 0.02))
    return pd.DataFrame(rows, columns=list(COLUMNS))
