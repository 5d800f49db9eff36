"""Metrics frames that say what a test wants the runs to have shown."""

import itertools
import math

import pandas as pd

from experiments import controls, four_languages, triangle
from tiny_gpt.metrics import COLUMNS

NUM_EPOCHS = 6
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
)
# What every condition shows unless a test says otherwise.
DEFAULTS = {
    "accuracy_aligned": 0.9,
    "error_other_language": 0.0,
    "error_pivot_word": 0.0,
    "bayes_probability": 0.02,
    "log_probability": -0.2,
    "brier_score": 0.2,
    "rank": 1.0,
    "probability": 0.8,
}


def scripted_metrics(overrides=None, seeds=(0, 1, 2, 3, 4)):
    """Returns a frame of all conditions; a little spread over seeds.

    Args:
        overrides: value by (place, mapping, metric, tier, prompt), where a
            "*" stands for anything; later ones win. Curves have the tier
            "all" or of windows, and a list of one value per epoch.
        seeds: seeds of the frame.
    """
    rules = dict(overrides or {})
    rows = []
    for module in (triangle, controls, four_languages):
        for condition in module.CONDITIONS:
            experiment = module.build_experiment("quick", condition)
            mappings = (*experiment.eval_mappings, *experiment.pivots)
            place = f"{module.NAME}/{condition}"
            keys = itertools.product(mappings, DEFAULTS, TIERS, PROMPTS)
            for mapping, metric, tier, prompt in keys:
                key = (place, mapping, metric, tier, prompt)
                value = look_up(rules, key, DEFAULTS[metric])
                rows += [
                    (
                        *head(module, condition, seed, NUM_EPOCHS),
                        *key[1:2],
                        tier,
                        prompt,
                        metric,
                        value + 1e-3 * (seed % 10),
                    )
                    for seed in seeds
                ]
            rows += curves(rules, module, condition, experiment, seeds)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def curves(rules, module, condition, experiment, seeds):
    place = f"{module.NAME}/{condition}"
    falling = [3.0, 1.5, 0.5, 0.3, 0.3, 0.3]
    later = [3.0, 2.5, 2.0, 1.5, 0.5, 0.3]
    rising = [0.1, 0.2, 0.5, 0.7, 0.9, 0.9]
    for mapping in experiment.eval_mappings:
        loss = later if mapping == "A->C" else falling
        shown = {
            ("accuracy_aligned", "all", "2_demonstrations"): rising,
            ("loss_answer_words", "fresh_windows", "all"): loss,
            ("loss_all_tokens", "training_windows", "all"): loss,
            ("loss_all_tokens", "fresh_windows", "all"): [
                x + 0.2 for x in loss
            ],
        }
        for (metric, tier, prompt), default in shown.items():
            key = (place, mapping, metric, tier, prompt)
            values = look_up(rules, key, default)
            for seed, epoch in itertools.product(seeds, range(NUM_EPOCHS)):
                yield (
                    *head(module, condition, seed, epoch + 1),
                    mapping,
                    tier,
                    prompt,
                    metric,
                    values[epoch] + 1e-3 * (seed % 10),
                )
    for seed, epoch in itertools.product(seeds, range(NUM_EPOCHS)):
        yield (
            *head(module, condition, seed, epoch + 1),
            "all",
            "all",
            "all",
            "loss",
            3.0 * math.exp(-epoch),
        )


def head(module, condition, seed, epoch):
    return module.NAME, condition, seed, epoch, 26 * epoch


def look_up(rules, key, default):
    for pattern, value in reversed(rules.items()):
        if all(p in ("*", k) for p, k in zip(pattern, key, strict=True)):
            return value
    return default
