"""Scripted runs: metrics frames with the values that a test needs."""

import itertools
import math
import zlib

import pandas as pd

from experiments.reproduction import REPRODUCTION
from tiny_gpt.evaluation.evaluate import task_name
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.metrics.frames import columns_of
from tiny_gpt.sweep.cell import unlabelled
from tiny_gpt.training.run_files import Record

NUM_EPOCHS = 6
STUDIES = {study.name: study for study in REPRODUCTION.studies}
TIERS = (
    "all_sentences",
    "seen_sentences",
    "unseen_sentences",
    "held_out_words",
)
PROMPTS = (
    "2_demonstrations",
    "1_demonstrations",
    "0_demonstrations",
    "2_demonstrations_of_A->B",
    "1_demonstrations_of_A->B",  # preset paper
)
# What every condition shows unless a test says otherwise.
DEFAULTS = {
    "accuracy_aligned": 0.95,
    "error_other_language": 0.0,
    "error_pivot_word": 0.0,
    "bayes_probability": 0.02,
    "log_probability": -0.2,
    "brier_score": 0.2,
    "rank": 1.0,
    "probability": 0.8,
    "accuracy_in_language": 0.95,
    "log_probability_in_language": -0.1,
}


def scripted_metrics(
    overrides=None, seeds=(0, 1, 2, 3, 4), places=None, preset="quick"
):
    """Returns a frame of all conditions; a little spread over seeds.

    Args:
        overrides: value by (place, mapping, metric, tier, prompt), where a
            "*" stands for anything; later ones win. Curves have the tier
            "all" or of windows, and may have a list of one value per epoch.
        seeds: seeds of the frame.
        places: conditions to script, e.g. "triangle/no_a_to_c"; None: all.
        preset: preset of the experiments.
    """
    rules = dict(overrides or {})
    rows = []
    for study in STUDIES.values():
        for condition in study.conditions:
            experiment = study.build(preset, condition)
            mappings = (
                *experiment.task.eval_mappings,
                *experiment.task.pivots,
            )
            place = f"{study.name}/{condition}"
            if places is not None and place not in places:
                continue
            keys = itertools.product(mappings, DEFAULTS, TIERS, PROMPTS)
            for mapping, metric, tier, prompt in keys:
                key = (place, mapping, metric, tier, prompt)
                value = look_up(rules, key, DEFAULTS[metric])
                rows += [
                    (
                        *head(study, condition, seed, NUM_EPOCHS),
                        *key[1:2],
                        tier,
                        prompt,
                        metric,
                        value + spread(seed, *key[:3]),
                    )
                    for seed in seeds
                ]
            rows += curves(rules, study, condition, experiment, seeds)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def curves(rules, study, condition, experiment, seeds):
    place = f"{study.name}/{condition}"
    falling = [3.0, 1.5, 0.5, 0.3, 0.3, 0.3]
    later = [3.0, 2.5, 2.0, 1.5, 0.5, 0.3]
    rising = [0.1, 0.2, 0.5, 0.7, 0.9, 0.9]
    asked = experiment.evaluation
    for mapping in experiment.task.eval_mappings:
        loss = later if mapping == "A->C" else falling
        shown = {
            (asked.metrics[0], "all", asked.prompt): rising,
            (asked.metrics[1], "all", asked.prompt): rising,
            ("loss_answer_words", "fresh_windows", "all"): loss,
            ("loss_all_tokens", "training_windows", "all"): loss,
            ("loss_all_tokens", "fresh_windows", "all"): [
                x + 0.2 for x in loss
            ],
        }
        for (metric, tier, prompt), default in shown.items():
            key = (place, mapping, metric, tier, prompt)
            values = look_up(rules, key, default)
            if not isinstance(values, list):
                values = [values] * NUM_EPOCHS
            for seed, epoch in itertools.product(seeds, range(NUM_EPOCHS)):
                yield (
                    *head(study, condition, seed, epoch + 1),
                    mapping,
                    tier,
                    prompt,
                    metric,
                    values[epoch] + spread(seed, place, mapping, metric),
                )
    for seed, epoch in itertools.product(seeds, range(NUM_EPOCHS)):
        yield (
            *head(study, condition, seed, epoch + 1),
            "all",
            "all",
            "all",
            "loss",
            3.0 * math.exp(-epoch),
        )


def spread(seed, *names):
    """Returns 0 to 0.009, in another order of seeds for other names.

    Pairs of runs then differ from seed to seed, as real ones do.
    """
    code = zlib.crc32(" ".join(names).encode())
    return 1e-3 * ((seed * (1, 3, 7, 9)[code % 4] + code // 4) % 10)


def head(study, condition, seed, epoch):
    return study.name, condition, seed, epoch, 26 * epoch


def look_up(rules, key, default):
    for pattern, value in reversed(rules.items()):
        if all(p in ("*", k) for p, k in zip(pattern, key, strict=True)):
            return value
    return default


def write_runs(store, overrides=None, seeds=(0, 1, 2), skip=()):
    """Fills a store, as if all experiments had run.

    Args:
        store: the store.
        overrides: see `scripted_metrics`.
        seeds: seeds of every condition.
        skip: (place, seed) that stay unfinished.
    """
    frame = scripted_metrics(overrides, seeds)
    runs = frame.groupby(["experiment", "condition", "seed"])
    for (name, condition, seed), rows in runs:
        if (f"{name}/{condition}", seed) in skip:
            continue
        experiment = STUDIES[name].build("quick", condition)
        key, seed = store.key(experiment), int(seed)
        record = Record(
            unlabelled(experiment, key), seed, store.record(key, seed)
        )
        columns = columns_of(experiment)
        is_exact = rows["tier"].isin(TIERS)
        for _, of_epoch in rows[~is_exact].groupby("epoch"):
            record.logs.append(
                {
                    log_key(row): row.value
                    for row in of_epoch.itertuples()
                    if log_key(row) in columns  # no losses of what is not read
                }
            )
        columns = ["mapping", "tier", "prompt", "metric", "value"]
        exact = rows[is_exact][columns].itertuples(index=False, name=None)
        record.finish(NoModel(), list(exact))
        store.keep(key, experiment, seed)


def log_key(row):
    if row.metric == "loss":
        return "loss"
    if row.tier == "all":
        return f"{task_name(row.mapping)}_{row.metric}"
    kind = row.metric.removeprefix("loss_")
    return f"{task_name(row.mapping)}_{row.tier}_{kind}_loss"


class NoModel:
    """Stands in for a trained model, of which only the weights are kept."""

    def get_weights(self):
        return []

    def save_weights(self, path):
        path.write_bytes(b"")
