"""Ledger, frames and manifest -> one self-contained HTML page."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from tiny_gpt.ledger import VERDICTS, check_ledger
from tiny_gpt.metrics import COLUMNS, EVENT_COLUMNS
from tiny_gpt.report_figures import (
    plot_condition_accuracy,
    plot_condition_loss,
    plot_series,
    plot_strip,
)
from tiny_gpt.results import summarise
from tiny_gpt.svg import to_svg
from tiny_gpt.typeset import (
    format_duration,
    format_effect,
    format_number,
    to_html,
    typeset,
)

# Events drawn above the curves: of the training loss and of the accuracy.
EVENT_KINDS = ("loss_drop", "rise")
VERDICT_STYLES = dict(
    zip(VERDICTS, ("yes", "partly", "no", "open", "untested"), strict=True)
)


def render_report(
    ledger: dict[str, Any],
    metrics: pd.DataFrame,
    events: pd.DataFrame,
    manifest: dict[str, Any],
) -> str:
    """Renders the page that one sends to a colleague.

    It shows what the ledger says and draws what the frames hold. The one
    number read off a frame is the accuracy at the last epoch, by
    `results.summarise`. The page needs no script, no second file and no
    network.

    Args:
        ledger: claims with verdicts and effects, and the conditions that test
            them: the content of claims.json, checked by `check_ledger`.
        metrics: metrics frame of all conditions and seeds.
        events: events frame of the same runs.
        manifest: versions, device, command; a dash stands for what it lacks.

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
    counts = Counter(claim["verdict"] for claim in ledger["claims"])
    return environment.get_template("report.html.j2").render(
        ledger=ledger,
        figures={c["name"]: _show_claim(c) for c in ledger["claims"]},
        experiments=experiments,
        conditions=conditions,
        counts={v: counts[v] for v in VERDICTS if counts[v]},
        styles=VERDICT_STYLES,
        manifest=manifest,
        config=manifest.get("config") or {},
        wall_s=_flatten(manifest.get("wall_s")),
    )


def _show_claim(claim: dict[str, Any]) -> dict[str, Any] | None:
    """Draws the figure of a claim: its SVG and the entries of its legend."""
    figure = claim["figure"]
    if figure is None:
        return None
    axis, kind = typeset(figure["axis"]), figure["kind"]
    is_fraction = _is_fraction(figure)
    unit = "fraction" if is_fraction else None
    lines = _present(figure["lines"])
    marks = _present(figure.get("marks", {}))
    if kind == "strip":
        groups = _with_labels(figure["groups"])
        texts = [format_effect(group, unit) for group in groups]
        drawn = plot_strip(groups, texts, axis, lines, is_fraction)
        shown = [
            f"{g['label']} {t}" for g, t in zip(groups, texts, strict=True)
        ]
        legend = [("dot", 1, "one seed"), ("bar", 0, "mean and interval")]
    else:
        series = _with_labels(figure["series"])
        drawn = plot_series(
            series,
            axis,
            typeset(figure.get("x_axis", "Epoch")),
            lines,
            is_fraction,
            marks,
            figure.get("log_x", False),
            kind == "epochs",
        )
        shown = [item["label"] for item in series]
        legend = [("line", n, label) for n, label in enumerate(shown)]
        seed = "thin" if kind == "epochs" else "dot"
        legend += [(seed, 0, "one seed"), ("band", 0, "interval")]
    level = "upright" if kind == "strip" else "level"
    legend += [
        (level, n, f"{name} {format_number(value, unit)}")
        for n, (name, value) in enumerate(lines.items())
    ]
    legend += [
        ("mark", n, f"{name}: epoch {format_number(value)}")
        for n, (name, value) in enumerate(marks.items())
    ]
    label = f"{claim['title']}. {axis}: {'; '.join(shown)}"
    svg = to_svg(drawn, f"figure-{claim['name']}", typeset(label))
    return {"svg": svg, "legend": legend}


def _show_condition(
    condition: dict[str, Any],
    metrics: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Sequence[str],
) -> dict[str, Any]:
    """Adds to a condition what the page shows of it."""
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
    floors = _present(condition["floor"])
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
    chance = _present(condition["chance"])
    memoriser = {
        mapping: value
        for mapping, value in _present(condition["memoriser"]).items()
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


def _is_fraction(figure: dict[str, Any]) -> bool:
    """Tells whether values are shown in percent; "unit" may say so."""
    if "unit" in figure:
        return figure["unit"] == "fraction"
    axis = figure["axis"].lower()  # one of another unit has it in brackets
    return "(" not in axis and ("accuracy" in axis or "words" in axis)


def _present(values: dict[str, float | None]) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    }


def _with_labels(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**part, "label": typeset(part["label"])} for part in parts]


def _flatten(value: Any, name: str = "all") -> dict[str, float]:
    """Lists the numbers of nested dictionaries, names joined by "/"."""
    if not isinstance(value, dict):
        return {} if value is None else {name: float(value)}
    flat: dict[str, float] = {}
    for key, item in value.items():
        flat |= _flatten(item, key if name == "all" else f"{name}/{key}")
    return flat
