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
from tiny_gpt.report.claim_figures import show_figure
from tiny_gpt.report.condition_figures import show_accuracy, show_loss
from tiny_gpt.report.entries import (
    FAILS,
    HOLDS,
    OPEN,
    answer_of,
    decisive,
    is_compared,
    lacks_runs,
    write_truth,
)
from tiny_gpt.report.schema import (
    EXPLANATIONS,
    OBSERVATIONS,
    check_ledger,
)
from tiny_gpt.report.typeset import (
    format_duration,
    format_effect,
    format_number,
    in_words,
    to_html,
)

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
NO_EXPLANATION, NO_RUNS = "none given", "runs are missing"


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
    needs no second file and no network. Without scripts all of it can be read;
    with them, claims can be filtered.

    Args:
        ledger: content of claims.json, checked by `check_ledger`: claims with
            verdicts and effects, and the conditions that test them.
        metrics: metrics frame of all conditions and seeds.
        events: events frame of the same runs.
        manifest: versions, device, command; a missing entry shows a dash.
        maps: of sweeps: "name", "runs", "seeds", "command", "lines" of the
            fits, and "figures", `<svg>` elements.

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
    curves = metrics[metrics["tier"] == "all"]  # the other tiers are no curves
    for n, condition in enumerate(ledger["conditions"]):
        shown = _show_condition(condition, curves, events, n)
        experiments.setdefault(condition["experiment"], []).append(shown)
        shown["claims"] = [
            claim
            for claim in ledger["claims"]
            if shown["name"] in claim["conditions"]
        ]
        conditions[shown["name"]] = shown
    claims = [
        _show_claim(claim, conditions, n)
        for n, claim in enumerate(ledger["claims"])
    ]
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
    environment.filters["words"] = in_words
    return environment.get_template("report.html.j2").render(
        ledger=ledger,
        title=_title(ledger),
        claims=claims,
        answers={
            heading: [c for c in claims if c["answer"] == heading]
            for heading in (HOLDS, FAILS, OPEN)
        },
        filters=_filters(claims, ledger["families"]),
        experiments=experiments,
        conditions=conditions,
        min_power=MIN_POWER,
        styles={**VERDICT_STYLES, NO_RUNS: "untested"},
        manifest=manifest,
        maps=maps,
        config=manifest.get("config") or {},
        wall_s=_flatten(manifest.get("wall_s")),
    )


def _show_claim(
    claim: dict[str, Any], conditions: dict[str, dict[str, Any]], number: int
) -> dict[str, Any]:
    """Adds to a claim the figures and words that the page shows."""
    answer, part = answer_of(claim)
    compared = [e for e in claim["effects"] if is_compared(claim, e)]
    places = list(conditions)  # everywhere in the order of the ledger
    known = [name for name in places if name in claim["conditions"]]
    networks = {conditions[name].get("network") for name in known} - {None}
    figure = show_figure(claim, f"_{number}")  # no claim is named so
    is_without = lacks_runs(claim)
    return {
        **claim,
        "answer": answer,
        "decisive": next(iter(decisive(claim, [part])), None),
        "observation": NO_RUNS if is_without else claim["observation"],
        "explanation": None if is_without else claim["explanation"],
        "compared": compared,
        "further": [e for e in claim["effects"] if e not in compared],
        "power": [
            {**each, "truth": write_truth(claim, each["truth"])}
            for each in claim.get("power", ())
        ],
        "figures": [] if figure is None else [figure, *figure["more"]],
        "known": known,
        "unknown": [n for n in claim["conditions"] if n not in conditions],
        "networks": sorted(networks),
    }


def _filters(
    claims: Sequence[dict[str, Any]], families: Sequence[dict[str, Any]]
) -> dict[str, dict[str, tuple[str, int]]]:
    """Returns what claims can be filtered by.

    Returns:
        For each filter and value, what the page calls the value, and how many
        claims have it. A filter of one value is left out.
    """
    names = {family["name"]: family["title"] for family in families}
    networks = sorted({n for claim in claims for n in claim["networks"]})
    values: dict[str, dict[str, str | None]] = {
        "observation": dict.fromkeys((*OBSERVATIONS, NO_RUNS)),
        "explanation": dict.fromkeys((*EXPLANATIONS, NO_EXPLANATION)),
        "section": names,
        "network": dict.fromkeys(networks),
    }
    counts: dict[str, Counter[str]] = {
        "observation": Counter(c["observation"] for c in claims),
        "explanation": Counter(
            c["explanation"] or NO_EXPLANATION for c in claims
        ),
        "section": Counter(c["family"] for c in claims),
        "network": Counter(n for c in claims for n in c["networks"]),
    }
    found = {
        name: {
            value: (title or value, counts[name][value])
            for value, title in titles.items()
            if counts[name][value]
        }
        for name, titles in values.items()
    }
    return {name: each for name, each in found.items() if len(each) > 1}


def _title(ledger: dict[str, Any]) -> str:
    """Returns the title of the page: the paper, or the experiments."""
    if ledger["claims"]:
        return "Scaling Down Transformers, claim by claim"
    names = dict.fromkeys(c["experiment"] for c in ledger["conditions"])
    return ", ".join(map(in_words, names))


def _show_condition(
    condition: dict[str, Any],
    metrics: pd.DataFrame,
    events: pd.DataFrame,
    number: int,
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
        figures.append(show_loss(condition, loss, f"_l{number}"))
    if len(accuracy):
        shown = ("all", *mappings)
        happened = _select(events, experiment, name)
        is_shown = happened["metric"].isin(("loss", metric))
        happened = happened[is_shown & happened["mapping"].isin(shown)]
        figures.append(
            show_accuracy(condition, accuracy, happened, f"_a{number}")
        )
        last = summarise(accuracy, metric, "")["conditions"][name]
    title = condition["question"].replace("`", "")
    return {
        **condition,
        "name": f"{experiment}/{name}",
        "id": f"{experiment}-{name}",
        "title": title[:1].upper() + title[1:],
        "figures": figures,
        "last": {mapping: by["accuracy"] for mapping, by in last.items()},
        "prompt": accuracy["prompt"].iloc[0] if len(accuracy) else None,
    }


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
