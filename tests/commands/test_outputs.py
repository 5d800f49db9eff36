"""Tests for tiny_gpt/commands/outputs.py and for the order of conditions."""

import dataclasses

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.commands import outputs
from tiny_gpt.commands.options import parse_arguments
from tiny_gpt.commands.plan import Plan
from tiny_gpt.commands.study import Study
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.metrics.summary import summarise

mpl.use("Agg")

STUDY = Study(
    name="tiny_words",
    conditions={"one": "the first", "two": "the second"},
    build_experiment=lambda preset, condition: dataclasses.replace(
        TINY, name="tiny_words", condition=condition
    ),
    sparse=("A->C",),
    titles={"one": "all pairs"},
)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Returns what draws a study: its figure's path, and what is on it."""
    monkeypatch.setattr(plt, "close", lambda figure: None)

    def draw(*arguments, **changes):
        study = dataclasses.replace(STUDY, **changes)
        out = "--out", str(tmp_path), "--backend", "jax"
        options = parse_arguments(["run", "tiny", *out, *arguments])
        plan = Plan.from_options(study, options, ["test"])
        metric = TINY.evaluation.accuracy
        rows = [
            (*("tiny_words", e.condition, seed, epoch, epoch), *row)
            for e in reversed(plan.experiments)
            for seed in plan.seeds
            for epoch in (1, 2)
            for row in (
                ("all", "all", "all", "loss", 1.0),
                ("A->C", "all", "p", metric, 0.5),
            )
        ]
        metrics = pd.DataFrame(rows, columns=list(COLUMNS))
        summary = summarise(metrics, metric, plan.preset)
        path = outputs.draw(plan, metrics, summary)
        return path, plt.gcf()

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    yield draw
    monkeypatch.undo()
    plt.close("all")


def test_panels_stand_in_the_order_of_the_study(drawn, tmp_path):
    path, figure = drawn("--conditions", "two", "one")
    assert path == tmp_path / "curves.png"
    assert path.stat().st_size > 10_000
    titles = [ax.get_title() for ax in figure.axes[:2]]
    assert titles == ["all pairs", "two"]  # one has no words of its own
    assert figure.get_suptitle() == (
        "Tiny words, preset quick, 5 seeds (thin) and their mean (thick)"
    )


def test_one_seed_has_no_mean(drawn):
    _, figure = drawn("--seeds", "1")
    assert figure.get_suptitle() == "Tiny words, preset quick, 1 seed"


def test_guessing_is_called_as_the_study_says(drawn):
    def labels(figure):
        (legend,) = figure.legends
        return [text.get_text() for text in legend.get_texts()]

    _, figure = drawn()
    assert {"chance", "memoriser of the sparse mapping"} <= set(labels(figure))
    _, figure = drawn(chance="a coin", sparse=("A->B", "A->C"))
    found = set(labels(figure))
    assert {"a coin", "memoriser of the sparse mappings"} <= found
    assert "chance" not in found


def test_a_study_may_draw_nothing(drawn, tmp_path):
    path, _ = drawn(draw=lambda evidence, title: None)
    assert path is None
    assert {p.name for p in tmp_path.iterdir()} == {"table_1.md"}


def test_the_table_has_a_column_for_each_baseline(drawn, tmp_path):
    drawn("--conditions", "one", "--seeds", "1")
    table = (tmp_path / "table_1.md").read_text()
    headings = [cell.strip() for cell in table.splitlines()[0].split("|")]
    assert headings[3:6] == ["chance", "memoriser", "dictionary"]
    row = [cell.strip() for cell in table.splitlines()[2].split("|")]
    baselines = TINY.task.baselines()
    for name in headings[3:6]:
        expected = f"{100 * baselines[name]['A->C']:.1f}"
        assert row[headings.index(name)] == expected


def test_what_a_paper_prints_has_a_column_if_there_is_any(drawn, tmp_path):
    printed = {"one": {"A->C": 0.65}}
    drawn("--conditions", "one", "--seeds", "1", paper_accuracy=printed)
    head, _, *rows = (tmp_path / "table_1.md").read_text().splitlines()
    place = [cell.strip() for cell in head.split("|")].index("paper")
    by_mapping = [[cell.strip() for cell in row.split("|")] for row in rows]
    assert "65.0" in {row[place] for row in by_mapping}
