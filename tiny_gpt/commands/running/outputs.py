"""The figure and the table of one experiment."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from experiments import controls
from experiments.claims.section_3.controls import composition
from tiny_gpt.claims.claim import LEVEL
from tiny_gpt.claims.evidence import Evidence, MissingRunsError
from tiny_gpt.commands.running.plan import Plan, count_seeds
from tiny_gpt.metrics.summary import accuracy_table
from tiny_gpt.plots.curves import plot_against_pairs, plot_conditions
from tiny_gpt.runtime import results_folder

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"


def draw(plan: Plan, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Draws the figure and the table of a plan into its folder."""
    first = plan.experiments[0]
    published = None
    path = PUBLISHED / f"{plan.module.NAME}.csv"
    if path.exists():
        published = pd.read_csv(path)
    lines, memoriser, chance = {}, {}, {}
    for e in plan.experiments:
        baselines = e.task.baselines()
        memoriser[e.condition] = baselines["memoriser"]
        chance[e.condition] = baselines["chance"]
        sparse = plan.module.SPARSE
        lines[e.condition] = {
            "chance, target language known": max(
                baselines["chance"][m] for m in sparse
            ),
            "memoriser of the sparse pairs": max(
                baselines["memoriser"][m] for m in sparse
            ),
        }
    title = (
        f"{plan.module.NAME}, preset {plan.preset}, {count_seeds(plan.seeds)}"
    )
    name = "figure_2.png" if plan.module.NAME == "triangle" else "curves.png"
    figure: Figure | None
    if plan.module is controls:
        figure = _draw_controls(plan, metrics, title)
    else:
        figure = plot_conditions(
            metrics,
            first.evaluation.accuracy,
            first.task.eval_mappings,
            lines,
            published,
            plan.module.PAPER_ACCURACY,
            f"{title}; thick: mean over seeds",
        )
    if figure is not None:
        figure.savefig(plan.folder / f"{name}.tmp", dpi=150, format="png")
        (plan.folder / f"{name}.tmp").replace(plan.folder / name)
        plt.close(figure)
    table = accuracy_table(
        summary,
        {
            "paper": plan.module.PAPER_ACCURACY,
            "chance": chance,
            "memoriser": memoriser,
        },
    )
    results_folder.write_text(plan.folder / "table_1.md", table)


def _draw_controls(
    plan: Plan, metrics: pd.DataFrame, title: str
) -> Figure | None:
    """Draws A->C by number of pairs; None if a condition was left out."""
    shown = plan.experiments[0].evaluation.exact_demonstrations[0]
    empty = pd.DataFrame(columns=["condition", "metric", "task", "value"])
    evidence = Evidence(metrics, plan.seeds, None, empty, LEVEL, shown)
    try:
        curve = composition(evidence).figure or {}
    except MissingRunsError:
        return None
    return plot_against_pairs(
        curve["series"],
        curve["lines"],
        curve["axis"],
        f"{title}; band: {LEVEL:.0%} interval of the mean",
    )
