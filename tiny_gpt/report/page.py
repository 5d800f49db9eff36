"""The HTML page of the report, from ledger, frames and manifest."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS
from tiny_gpt.metrics.summary import summarise
from tiny_gpt.report.claim_figures import present, show_figure
from tiny_gpt.report.entries import decisive, is_compared, lacks_runs
from tiny_gpt.report.figures import (
    plot_condition_accuracy,
    plot_condition_loss,
)
from tiny_gpt.report.schema import (
    EXPLANATIONS,
    OBSERVATIONS,
    check_ledger,
)
from tiny_gpt.report.svg import to_svg
from tiny_gpt.report.typeset import (
    format_duration,
    format_effect,
    format_number,
    to_html,
    typeset,
)

# Events drawn above the curves: of the training loss and of the accuracy.
EVENT_KINDS = ("loss_drop", "rise")
# Outcomes that are found less often count as not decidable.
MIN_POWER = 0.8
VERDICT_STYLES = {
    **dict(zip(OBSERVATIONS, ("yes", "no", "open"), strict=True)),
    **dict(
        zip(
            EXPLANATIONS,
            ("yes", "partly", "no", "open", "untested"),
            strict=True,
        )
    ),
}


def render_report(
    ledger: dict[str, Any],
    metrics: pd.DataFrame,
    events: pd.DataFrame,
    manifest: dict[str, Any],
    maps: Sequence[dict[str, Any]] = (),
) -> str:
    """Renders the report as a page that one can send to a colleague.

    It shows the ledger and draws the frames. Only one number is read from a
    frame: the accuracy at the last epoch, by `summary.summarise`. The page
    needs no script, no second file and no network.

    Args:
        ledger: content of claims.json, checked by `check_ledger`: claims with
            verdicts and effects, and the conditions that test them.
        metrics: metrics frame of all conditions and seeds.
        events: events frame of the same runs.
        manifest: versions, device, command; a missing entry shows a dash.
        maps: of sweeps: "name", "runs", "seeds", "command", "lines" of the
            fits, and "figures" with "label" and "data" (PNG, base 64).

    Returns:
        HTML.

    Raises:
        ValueError: if the ledger has another format or lacks a key, a frame
            lacks a column, or a number to be drawn is not finite.
    """
    check_ledger(ledger)
    _check_columns("metrics", metrics, COLUMNS)
    _check_columns("events", events, EVENT_COLUMNS)
    experiments: dict[str, list[dict[str, Any]]] = {}
    conditions = {}
    events = events[events["event"].isin(EVENT_KINDS)]
    kinds = [kind for kind in EVENT_KINDS if kind in set(events["event"])]
    curves = metrics[metrics["tier"] == "all"]  # the other tiers are no curves
    for condition in ledger["conditions"]:
        shown = _show_condition(condition, curves, events, kinds)
        experiments.setdefault(condition["experiment"], []).append(shown)
        conditions[shown["name"]] = shown
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=to_html,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = format_number
    environment.filters["effect"] = format_effect
    environment.filters["duration"] = format_duration
    return environment.get_template("report.html.j2").render(
        ledger=ledger,
        title=_title(ledger),
        figures={c["name"]: show_figure(c) for c in ledger["claims"]},
        experiments=experiments,
        conditions=conditions,
        counts=_count(ledger["claims"]),
        decisive=decisive,
        is_compared=is_compared,
        lacks_runs=lacks_runs,
        num_waiting=sum(map(lacks_runs, ledger["claims"])),
        min_power=MIN_POWER,
        styles=VERDICT_STYLES,
        manifest=manifest,
        maps=maps,
        config=manifest.get("config") or {},
        wall_s=_flatten(manifest.get("wall_s")),
    )


def _count(claims: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Returns the number of claims by part of the verdict and outcome.

    Claims whose runs are missing have no verdict, and are not counted.
    """
    claims = [claim for claim in claims if not lacks_runs(claim)]
    parts = {
        "Observations": ("observation", OBSERVATIONS),
        "Explanations": ("explanation", EXPLANATIONS),
    }
    counted = {}
    for title, (part, outcomes) in parts.items():
        counts = Counter(claim[part] for claim in claims)
        counted[title] = {o: counts[o] for o in outcomes if counts[o]}
    return {title: counts for title, counts in counted.items() if counts}


def _title(ledger: dict[str, Any]) -> str:
    """Returns the title of the page: the paper, or the experiments."""
    if ledger["claims"]:
        return "Scaling Down Transformers, claim by claim"
    names = dict.fromkeys(c["experiment"] for c in ledger["conditions"])
    return ", ".join(name.replace("_", " ") for name in names)


def _show_condition(
    condition: dict[str, Any],
    metrics: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Sequence[str],
) -> dict[str, Any]:
    """Adds to a condition the figures and numbers that the page shows."""
    experiment, name = condition["experiment"], condition["condition"]
    metric, mappings = condition["accuracy_metric"], condition["mappings"]
    rows = _select(metrics, experiment, name)
    loss = rows[(rows["metric"] == "loss") & (rows["mapping"] == "all")]
    accuracy = rows[(rows["metric"] == metric) & rows["mapping"].isin(mappings)]
    if len(accuracy):
        # Some prompts are asked at the last epoch only.
        epochs = accuracy.groupby("prompt", sort=False)["epoch"].nunique()
        accuracy = accuracy[accuracy["prompt"] == epochs.idxmax()]
    figures, last = [], {}
    _check_finite(loss, f"{experiment}/{name}")
    _check_finite(accuracy, f"{experiment}/{name}")
    if len(loss):
        figures.append(_show_loss(condition, loss))
    if len(accuracy):
        shown = ("all", *mappings)
        happened = _select(events, experiment, name)
        is_shown = happened["metric"].isin(("loss", metric))
        happened = happened[is_shown & happened["mapping"].isin(shown)]
        figures.append(_show_accuracy(condition, accuracy, happened, kinds))
        last = summarise(accuracy, metric, "")["conditions"][name]
    return {
        **condition,
        "name": f"{experiment}/{name}",
        "id": f"{experiment}-{name}",
        "figures": figures,
        "last": {mapping: by["accuracy"] for mapping, by in last.items()},
        "prompt": accuracy["prompt"].iloc[0] if len(accuracy) else None,
    }


def _show_loss(condition: dict[str, Any], loss: pd.DataFrame) -> dict[str, Any]:
    floors = present(condition["floor"])
    legend = [("loss", 0, "mean over seeds"), ("thin", 0, "one seed")]
    legend += [
        ("level", n, f"loss floor, {which}: {format_number(value, 'nats')}")
        for n, (which, value) in enumerate(floors.items())
    ]
    identity = f"{condition['experiment']}-{condition['condition']}"
    label = f"{condition['condition']}: training loss by epoch"
    svg = to_svg(plot_condition_loss(loss, floors), f"loss-{identity}", label)
    return {"svg": svg, "legend": legend}


def _show_accuracy(
    condition: dict[str, Any],
    accuracy: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Sequence[str],
) -> dict[str, Any]:
    mappings = condition["mappings"]
    chance = present(condition["chance"])
    memoriser = {
        mapping: value
        for mapping, value in present(condition["memoriser"]).items()
        if mapping in condition["sparse"] and mapping in mappings
    }
    figure = plot_condition_accuracy(
        accuracy,
        condition["accuracy_metric"],
        mappings,
        chance,
        memoriser,
        events,
        kinds,
    )
    legend = [("line", n, mapping) for n, mapping in enumerate(mappings)]
    legend += [
        ("level", 0, f"chance {format_number(value, 'fraction')}")
        for value in sorted(set(chance.values()))
    ]
    legend += [
        (
            "recall",
            mappings.index(mapping),
            f"memoriser {format_number(value, 'fraction')}",
        )
        for mapping, value in memoriser.items()
    ]
    legend += [
        ("event", n, kind.replace("_", " "))
        for n, kind in enumerate(kinds)
        if kind in set(events["event"])
    ]
    name = condition["condition"]
    identity = f"{condition['experiment']}-{name}"
    label = f"{name}: accuracy by epoch of {', '.join(mappings)}"
    svg = to_svg(figure, f"accuracy-{identity}", typeset(label))
    return {"svg": svg, "legend": legend}


def _check_columns(
    name: str, frame: pd.DataFrame, columns: Sequence[str]
) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"The {name} frame has the columns {tuple(columns)}. "
            f"Received: a frame without {missing}"
        )


def _check_finite(rows: pd.DataFrame, where: str) -> None:
    bad = rows[~np.isfinite(rows["value"])]
    if len(bad):
        first = bad.iloc[0]
        raise ValueError(
            "A metric that is drawn must be a finite number everywhere. "
            f"Received: {first['metric']}={first['value']} in {where}, "
            f"seed={first['seed']}, epoch={first['epoch']}, "
            f"mapping={first['mapping']}; {len(bad)} such rows"
        )


def _select(
    frame: pd.DataFrame, experiment: str, condition: str
) -> pd.DataFrame:
    return frame[
        (frame["experiment"] == experiment) & (frame["condition"] == condition)
    ]


def _flatten(value: Any, name: str = "all") -> dict[str, float]:
    """Lists the numbers of nested dictionaries, names joined by "/"."""
    if not isinstance(value, dict):
        return {} if value is None else {name: float(value)}
    flat: dict[str, float] = {}
    for key, item in value.items():
        flat |= _flatten(item, key if name == "all" else f"{name}/{key}")
    return flat
