"""Outputs of one experiment: its figure and its table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from tiny_gpt.claims.claim import LEVEL
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.commands.plan import Plan, count_seeds
from tiny_gpt.metrics.summary import accuracy_table
from tiny_gpt.plots.curves import plot_conditions
from tiny_gpt.runtime import results_folder


def draw(
    plan: Plan, metrics: pd.DataFrame, summary: dict[str, Any]
) -> Path | None:
    """Draws the figure and the table of a plan into its folder.

    Returns:
        Path of the figure; None if a condition that it needs is missing.
    """
    study, first = plan.study, plan.experiments[0]
    titles = {
        e.condition: study.titles.get(e.condition, e.condition)
        for e in plan.experiments
    }
    memorised = f"sparse mapping{'s' * (len(study.sparse) > 1)}"
    lines, memoriser, chance, dictionary = {}, {}, {}, {}
    for e in plan.experiments:
        baselines = e.task.baselines()
        memoriser[e.condition] = baselines["memoriser"]
        chance[e.condition] = baselines["chance"]
        if "dictionary" in baselines:  # not every task has words
            dictionary[e.condition] = baselines["dictionary"]
        lines[e.condition] = {
            name: max(baselines[kind][m] for m in study.sparse)
            for name, kind in (
                (study.chance, "chance"),
                (f"memoriser of the {memorised}", "memoriser"),
            )
        }
    name = study.name.replace("_", " ").capitalize()
    title = f"{name}, preset {plan.preset}, {count_seeds(plan.seeds)}"
    if study.draw is not None:
        figure = study.draw(evidence_of([plan], metrics), title)
    else:
        figure = plot_conditions(
            metrics,
            first.evaluation.accuracy,
            first.task.eval_mappings,
            lines,
            None if study.published is None else pd.read_csv(study.published),
            study.paper_accuracy,
            title + " (thin) and their mean (thick)" * (len(plan.seeds) > 1),
            titles,
        )
    table = accuracy_table(
        summary,
        {
            **({"paper": study.paper_accuracy} if study.paper_accuracy else {}),
            "chance": chance,
            "memoriser": memoriser,
            **({"dictionary": dictionary} if dictionary else {}),
        },
    )
    results_folder.write_text(plan.folder / "table_1.md", table)
    if figure is None:
        return None
    path = plan.folder / f"{study.figure}.png"
    saving = path.with_name(f"{path.name}.tmp")
    figure.savefig(saving, dpi=150, format="png")
    saving.replace(path)
    plt.close(figure)
    return path


def evidence_of(
    plans: Sequence[Plan],
    metrics: pd.DataFrame,
    paper: pd.DataFrame | None = None,
    level: float = LEVEL,
) -> Evidence:
    """Returns the evidence for claims and figures.

    Args:
        plans: what was run; the first says how all are evaluated.
        metrics: metrics frame of all plans.
        paper: metrics frame at the published size.
        level: confidence of each interval.
    """
    paths = [plan.study.published for plan in plans]
    published = [pd.read_csv(path) for path in paths if path is not None]
    none = pd.DataFrame(columns=["condition", "metric", "task", "value"])
    asked = plans[0].experiments[0].evaluation
    return Evidence(
        metrics,
        plans[0].seeds,
        paper,
        pd.concat(published) if published else none,
        level,
        (asked.exact_demonstrations or (0,))[0],
        asked.accuracy,
    )
