"""The tables and the figure of docs/networks.md.

Question  Which findings about the GPT hold without attention?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.networks_page
Time      seconds

Numbers are those of docs/runs/networks, seeds that were kept for the rules,
and of its verdicts (`benchmarks.pages.judge`). Those at equal operations are
exploratory: docs/runs/networks_compute.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.pages.judge import evidence_of, read_frames
from benchmarks.pages.markdown import DOCS, fill, read, table
from experiments import networks_compute
from experiments.claims.networks import FAMILY
from experiments.claims.networks.thresholds import pairs_needed
from experiments.networks import (
    NAME,
    NETWORKS,
    PAIRS,
    RATES,
    REFERENCE,
    SAYS,
    SPARSE,
)
from tiny_gpt.analysis.statistics import median_interval, t_interval
from tiny_gpt.claims.evidence import BySeed, Evidence, MissingRunsError
from tiny_gpt.claims.measure import FRACTION
from tiny_gpt.claims.values import LEARNED, MASTERED, crossing
from tiny_gpt.report.typeset import format_effect
from tiny_gpt.runtime.files import write_text

FOLDER = DOCS / "runs" / "networks"
SPEED = DOCS / "runs" / "networks_speed" / "speed.csv"
MAJORITY = ("A->B", "B->C")
COLOUR, GREY = "#0072B2", "#888888"
NOT_RUN = "not run yet"


def there(evidence: Evidence) -> list[str]:
    """Returns the networks whose runs are there, in the usual order."""
    found = []
    for name in SAYS:
        try:
            for n in PAIRS:
                evidence.final(f"{NAME}/{name}_{n}")
        except MissingRunsError:
            continue
        found.append(name)
    return found


def write_verdicts(claims: dict[str, Any]) -> str:
    """Returns the verdicts by network and question."""
    head = [
        "network",
        "pairs needed / GPT's",
        f"learns A → C from {SPARSE} pairs",
        "by way of B",
        "B → B turns composition on",
    ]
    rows = []
    for name in SAYS:
        if name == REFERENCE:
            continue
        pairs, rare, bridge = (
            claims[f"{name}_{kind}"]
            for kind in ("pairs", "rare_pair", "bridge")
        )
        cells = [
            (_needs(pairs), pairs, ""),
            (rare["observation"], rare, " of seeds"),
            (rare["explanation"], None, ""),
            (bridge["observation"], bridge, ""),
        ]
        is_there = bool(pairs["effects"])
        rows.append(
            [
                SAYS[name],
                *(
                    f"**{says}**" + (f": {_first(claim)}{end}" if claim else "")
                    if is_there
                    else NOT_RUN
                    for says, claim, end in cells
                ),
            ]
        )
    return table(head, rows)


def _needs(claim: dict[str, Any]) -> str:
    if claim["observation"] != "not confirmed":
        alike = {"confirmed": "like the GPT"}
        return alike.get(claim["observation"], claim["observation"])
    effect = claim["effects"][0]
    return "more" if float(effect["low"]) > 1 else "fewer"


def _first(claim: dict[str, Any]) -> str:
    return format_effect(claim["effects"][0])


def write_numbers(evidence: Evidence, speed: pd.DataFrame) -> str:
    """Returns what describes each network, without a verdict."""
    head = [
        "network",
        "learning rate",
        "updates to 90 % of A → B and B → C",
        "A → C later by, updates",
        "pairs for 50 %",
        f"A → C, {SPARSE} pairs, %",
        "held out, %",
        "held out, B → B added, %",
        "parameters",
        "state",
        "time of an update / GPT's",
    ]
    rows = []
    by_name = speed.set_index("network").to_dict("index")
    for name in there(evidence):
        majority = updates_to(evidence, name, MAJORITY, MASTERED)
        rare = updates_to(evidence, name, ("A->C",), LEARNED)
        lag = {seed: rare[seed] - majority[seed] for seed in majority}
        own = by_name[name]
        rows.append(
            [
                SAYS[name],
                f"{RATES[name]:g}",
                _median(majority),
                _median(lag),
                _median(pairs_needed(evidence, name)),
                _mean(evidence.final(f"{NAME}/{name}_{SPARSE}")),
                *(
                    _mean(
                        evidence.final(
                            f"{NAME}/{name}_{kind}", tier="held_out_words"
                        )
                    )
                    for kind in ("held_out", "held_out_bridge")
                ),
                f"{int(own['parameters']):,}",
                f"{int(own['state']):,}",
                f"{own['time_over_gpt']:.2f}",
            ]
        )
    return table(head, rows)


def write_compute(evidence: Evidence, compute: pd.DataFrame) -> str:
    """Returns the pairs for 50 % at equal operations, beside equal sizes.

    Args:
        evidence: the runs of equal parameters.
        compute: frame of `networks_compute`.
    """
    seeds = tuple(sorted(map(int, compute["seed"].unique())))
    equal = Evidence(compute, seeds, None, pd.DataFrame(), 0.95)
    head = [
        "network",
        "feed-forward width, equal parameters",
        "equal operations",
        "pairs for 50 %, equal parameters",
        "equal operations, each seed",
    ]
    rows = []
    for name, width in networks_compute.WIDTHS.items():
        found = pairs_needed(equal, name, study=networks_compute.NAME)
        each = sorted(found.values())
        rows.append(
            [
                SAYS[name],
                str(NETWORKS[name].intermediate_dim),
                str(width),
                _median(pairs_needed(evidence, name)),
                ", ".join(f"{x:.0f}" if x < math.inf else "∞" for x in each),
            ]
        )
    return table(head, rows)


def updates_to(
    evidence: Evidence, name: str, mappings: Sequence[str], threshold: float
) -> BySeed:
    """Returns the updates after which all mappings have reached a threshold.

    In the condition with 50 pairs, on the sample that is asked after every
    epoch; linear between two epochs, inf if one is never reached.
    """
    place = f"{NAME}/{name}_{SPARSE}"
    found: BySeed = {}
    for mapping in mappings:
        rows = evidence.rows(
            place, mapping=mapping, metric="accuracy_aligned", tier="all"
        )
        for seed, own in rows.groupby("seed"):
            curve = own.sort_values("step")
            time = crossing(
                curve["step"].to_numpy(float), curve["value"], threshold
            )
            key = int(str(seed))
            found[key] = max(found.get(key, 0.0), time)
    return found


def _median(values: BySeed) -> str:
    numbers = [
        math.nan if math.isnan(x) or x == -math.inf else x
        for x in values.values()
    ]
    found = median_interval(numbers, 0.95)
    return format_effect({**vars(found), "unit": "count"}).replace(".0", "")


def _mean(values: BySeed) -> str:
    mean = t_interval(list(values.values()), 0.95, FRACTION)
    value, low, high = (f"{100 * x:.0f}" for x in vars(mean).values())
    return f"{value} ({low}–{high})"


def draw(evidence: Evidence, path: Path) -> None:
    """Draws A->C by its number of pairs, a panel for each network."""
    names = [name for name in there(evidence) if name != REFERENCE]
    columns = min(4, len(names))
    lines = math.ceil(len(names) / columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(2.6 * columns + 0.4, 2.5 * lines + 0.2),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.ravel(), names, strict=False):
        for each, colour in ((REFERENCE, GREY), (name, COLOUR)):
            _draw_curve(evidence, axis, each, colour)
        axis.set_title(SAYS[name], loc="left", fontsize=10, color=COLOUR)
        axis.axhline(12.5, color="#bbbbbb", linewidth=0.8, linestyle=":")
        axis.spines[["top", "right"]].set_visible(False)
    first = axes[0, 0]
    first.annotate("GPT", (PAIRS[1], 40), color=GREY, fontsize=9)
    first.annotate("chance", (100, 14), color="#999999", fontsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("A → C right, %")
    first.set_xscale("log")
    first.set_xticks(PAIRS, [str(n) for n in PAIRS], fontsize=7)
    first.minorticks_off()
    # The lowest of each column.
    for axis in axes.ravel()[: len(names)][-columns:]:
        axis.set_xlabel("pairs of A → C")
        axis.tick_params(axis="x", labelbottom=True, labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _draw_curve(evidence: Evidence, axis: Any, name: str, colour: str) -> None:
    values = [evidence.final(f"{NAME}/{name}_{n}") for n in PAIRS]
    seeds = 100 * np.array([list(each.values()) for each in values])
    means = [t_interval(list(row), 0.95, (0.0, 100.0)) for row in seeds]
    low, high = [m.low for m in means], [m.high for m in means]
    axis.fill_between(PAIRS, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.plot(PAIRS, [m.value for m in means], color=colour, linewidth=2)


def filled(page: str, evidence: Evidence, claims: dict[str, Any]) -> str:
    """Returns a page with its tables in place."""
    tables = {
        "verdicts": write_verdicts(claims),
        "numbers": write_numbers(evidence, pd.read_csv(SPEED)),
        "compute": write_compute(evidence, read(networks_compute.NAME)),
    }
    return fill(page, tables)


def kept() -> tuple[Evidence, dict[str, Any]]:
    """Returns the committed frames, and the claims by name."""
    evidence = evidence_of(read_frames([FOLDER]), FAMILY.interval_level)
    ledger = json.loads((FOLDER / "claims.json").read_text())
    return evidence, {claim["name"]: claim for claim in ledger["claims"]}


if __name__ == "__main__":
    frames, verdicts = kept()
    page = DOCS / "networks.md"
    write_text(page, filled(page.read_text(), frames, verdicts))
    draw(frames, FOLDER / "networks.png")
