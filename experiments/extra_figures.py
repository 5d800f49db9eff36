"""Figures of a claim that no rule reads.

This module is outside `claims`, whose last commit is that of the rules.
"""

from collections.abc import Callable
from typing import Any

from experiments.claims.section_2.contexts import NEAR_BAYES
from experiments.measurements.contexts import demonstrated
from experiments.measurements.contexts_by_epoch import MAPPINGS, NAME
from tiny_gpt.claims.evidence import Evidence, MissingRunsError


def distance_by_epoch(evidence: Evidence) -> dict[str, Any]:
    """Draws nats from Bayes against epochs, by mapping and demonstrations."""
    place, metric = f"theory/{NAME}", "kl_from_bayes"
    panels = []
    for mapping in MAPPINGS:
        rows = evidence.rows(place, mapping=mapping, metric=metric)
        prompts = {
            demonstrated(num, mapping): num
            for num in range(rows["prompt"].nunique())
        }
        panels.append(
            {
                "label": mapping,
                "series": [
                    _line(rows[rows["prompt"] == prompt], num)
                    for prompt, num in prompts.items()
                ],
            }
        )
    return {
        "kind": "panels",
        "axis": "First answer word, from Bayes (nats)",
        "x_axis": "Epoch",
        "log_y": True,
        "panels": panels,
        "lines": {"limit of the rule": NEAR_BAYES},
    }


def _line(rows, num: int) -> dict[str, Any]:
    by_seed = rows.pivot(index="epoch", columns="seed", values="value")
    return {
        "label": f"{num} demonstration{'' if num == 1 else 's'}",
        "x": [int(epoch) for epoch in by_seed.index],
        "values": by_seed.to_numpy().tolist(),
        "mean": by_seed.mean(axis=1).tolist(),
        "low": by_seed.min(axis=1).tolist(),
        "high": by_seed.max(axis=1).tolist(),
    }


DESCRIPTIONS: dict[str, Callable[[Evidence], dict[str, Any]]] = {
    "assumption_1_bayes": distance_by_epoch
}


def more_figures(claim: str, evidence: Evidence) -> list[dict[str, Any]]:
    """Returns further figures of a claim; none without measurements."""
    if claim not in DESCRIPTIONS:
        return []
    try:
        return [DESCRIPTIONS[claim](evidence)]
    except MissingRunsError:
        return []
