"""Conditions of a reproduction: what each asks, and its results."""

import math
from typing import Any

import pandas as pd

from tiny_gpt.analysis.statistics import (
    bootstrap_interval,
    exact_binomial_interval,
    is_bimodal,
)
from tiny_gpt.analysis.times import median_time, time_to_threshold
from tiny_gpt.claims.evidence import Evidence, by_seed, effect
from tiny_gpt.claims.values import LEARNED
from tiny_gpt.commands.plan import count_seeds
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, loss_floor

TIERS = (
    "all_sentences",
    "seen_sentences",
    "unseen_sentences",
    "unseen_word_positions",
    "held_out_words",
)
ERRORS = (
    "pivot_word",
    "composed_word",
    "other_target_word",
    "source_copy",
    "other_language",
    "broken_format",
)
# Metric, tiers, unit and least and greatest value of what is shown.
SHOWN = (
    ("accuracy_aligned", TIERS, "fraction", (0.0, 1.0)),
    ("exact_match_aligned", TIERS[2:3], "fraction", (0.0, 1.0)),
    ("accuracy_in_language", TIERS[2:3], "fraction", (0.0, 1.0)),
    ("rank", TIERS[2:3], "count", (1.0, math.inf)),
    ("log_probability_in_language", TIERS[2:3], "nats", (-math.inf, 0.0)),
    ("log_probability", TIERS[2:3], "nats", (-math.inf, 0.0)),
    ("brier_score", TIERS[2:3], "count", (0.0, 2.0)),
    *((f"error_{kind}", TIERS[2:3], "fraction", (0.0, 1.0)) for kind in ERRORS),
)


def describe_condition(
    study: Study,
    experiment: Experiment,
    absent: list[int],
    evidence: Evidence,
) -> dict[str, Any]:
    """Describes one condition: question, floors, baselines, exact results.

    Args:
        study: its experiment.
        experiment: the condition.
        absent: missing seeds of it.
        evidence: frames of the runs, and all seeds.

    Returns:
        An entry of the ledger's "conditions".
    """
    task = experiment.task
    return {
        "experiment": experiment.name,
        "condition": experiment.condition,
        "question": study.conditions[experiment.condition],
        "network": type(experiment.model).__name__.removesuffix("Config"),
        "mappings": list(task.eval_mappings),
        "accuracy_metric": experiment.evaluation.accuracy,
        "seeds": [seed for seed in evidence.seeds if seed not in absent],
        "missing_seeds": absent,
        "floor": task.floors(experiment.model.sequence_length),
        **task.baselines(),
        "sparse": list(study.sparse),
        "num_epochs": experiment.train.num_epochs,
        "effects": [] if absent else _effects(study, experiment, evidence),
    }


def _effects(
    study: Study, experiment: Experiment, evidence: Evidence
) -> list[dict[str, Any]]:
    """Returns exact results of the sparse mappings, and the loss."""
    rows = evidence.rows(f"{experiment.name}/{experiment.condition}")
    last = rows[rows["epoch"] == rows["epoch"].max()]
    effects = []
    main = f"{evidence.num_demonstrations}_demonstrations"
    asked = last[last["prompt"] == main]
    for mapping in (*study.sparse, *experiment.task.pivots):
        of_mapping = asked[asked["mapping"] == mapping]
        for metric, tiers, unit, bounds in SHOWN:
            for tier in tiers:
                found = of_mapping[
                    (of_mapping["metric"] == metric)
                    & (of_mapping["tier"] == tier)
                ]
                if found.empty:
                    continue
                mean = evidence.mean(by_seed(found), bounds)
                if metric == "error_composed_word" and mean.high == 0:
                    continue  # no scrambled mapping
                words = f"{metric.removesuffix('_aligned')}, {tier}"
                name = f"{mapping}: {words.replace('_', ' ')}"
                if len(found) < len(evidence.seeds):  # others have none
                    name += f" ({count_seeds(tuple(found['seed']))})"
                effects.append(effect(name, mean, unit))
    for mapping in study.sparse:
        effects += _over_seeds(rows, asked, mapping, experiment, evidence)
    floor = loss_floor(experiment)
    if math.isnan(floor):
        return effects
    losses = by_seed(last[(last["metric"] == "loss")])
    excess = {seed: loss - floor for seed, loss in losses.items()}
    free = (-math.inf, math.inf)
    name = "training loss, last epoch, above its floor"
    return [*effects, effect(name, evidence.mean(excess, free), "nats")]


def _over_seeds(
    rows: pd.DataFrame,
    asked: pd.DataFrame,
    mapping: str,
    experiment: Experiment,
    evidence: Evidence,
) -> list[dict[str, Any]]:
    """Returns the spread over seeds of one mapping, and when seeds learn it."""
    level = evidence.level
    final = by_seed(
        asked[
            (asked["mapping"] == mapping)
            & (asked["metric"] == "accuracy_aligned")
            & (asked["tier"] == "unseen_sentences")
        ]
    )
    if not final:  # nothing is asked exactly
        return []
    values = list(final.values())
    num_learned = sum(value > LEARNED for value in values)
    groups = "two groups" if is_bimodal(values) else "one group"
    sample = rows[
        (rows["mapping"] == mapping)
        & (rows["metric"] == evidence.accuracy)
        & (rows["tier"] == "all")
    ]
    times = [
        time_to_threshold(
            curve["epoch"].to_list(), curve["value"].to_list(), LEARNED
        )
        for _, curve in sample.sort_values("epoch").groupby("seed")
    ]
    last = float(sample["epoch"].max())
    spread = [
        (
            f"{mapping}: median over seeds, bootstrap interval",
            bootstrap_interval(values, "median", level),
            "fraction",
        ),
        (
            f"{mapping}: seeds above 50 %, exact interval ({groups})",
            exact_binomial_interval(num_learned, len(values), level),
            "fraction",
        ),
        (
            f"{mapping}: median time to 50 %, {times.count(math.inf)} of "
            f"{len(times)} seeds never",
            median_time(times, last, level),
            "epochs",
        ),
    ]
    place = f"{experiment.name}/{experiment.condition}"
    if mapping in experiment.task.read_mappings:
        fresh, read = (
            {
                seed: float(curve.iloc[-1])
                for seed, curve in evidence.curves(
                    place, "loss_all_tokens", mapping, tier
                ).items()
            }
            for tier in ("fresh_windows", "training_windows")
        )
        gap = evidence.difference(fresh, read)
        spread.append((f"{mapping}: loss, fresh - training text", gap, "nats"))
    return [effect(*each) for each in spread]
