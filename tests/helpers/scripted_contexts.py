"""Scripted rows of the measurement `contexts`: a perfect model, and others."""

import zlib

import numpy as np
import pandas as pd

from experiments.claims.section_2 import FAMILY
from experiments.claims.section_2.context_equations import MOST_SHOWN, PLACE
from experiments.measurements import contexts
from tests.helpers.scripted_runs import scripted_metrics
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.metrics.columns import COLUMNS

SEEDS = tuple(range(20))
A_TO_B, A_TO_C = "A->B", "A->C"
BARE = contexts.demonstrated(0, A_TO_C)
SPARSE_CURVES = scripted_metrics({}, SEEDS, {contexts.SPARSE})


def bayes_of(num_pairs, rival=2500):
    return num_pairs / (num_pairs + rival)


def scripted(seeds):
    """Returns {(mapping, tier, prompt, metric): value} of a perfect model."""
    values = {}
    for place in (contexts.SPARSE, contexts.LONG):
        for label in (A_TO_C, A_TO_B):
            for num in range(MOST_SHOWN[place] + 1):
                prompt = contexts.demonstrated(num, label)
                first = contexts.tier_of(place, 1)
                mass = bayes_of(50) if num == 0 else float(label == A_TO_C)
                values |= {
                    (A_TO_C, first, prompt, "language_mass"): mass,
                    (A_TO_C, first, prompt, "bayes_posterior"): mass,
                    ("all", first, prompt, "outside_right_words"): 0.01,
                    ("all", first, prompt, "outside_languages"): 0.005,
                }
                for word in range(1, 5):
                    tier = contexts.tier_of(place, word)
                    values["all", tier, prompt, "kl_from_bayes"] = 0.01
                if label == A_TO_C:
                    left = 1 - bayes_of(50) if num == 0 else 0.005
                    printed = {0: 1.0}.get(num, 0.0)
                    of_theory = {
                        "epsilon": left,
                        "argmax_is_solver": float(num > 0),
                        "bayes_epsilon": left,
                        "bayes_identity_gap_as_printed": printed,
                        "bayes_bound_violation_as_printed": printed,
                        "bayes_epsilon_as_printed_of_solvers": 1.0,
                    }
                    for metric, value in of_theory.items():
                        values[A_TO_C, first, prompt, metric] = value
    first = contexts.tier_of(contexts.SPARSE, 1)
    for prompt in (*map(contexts.mixed, contexts.MIXED), contexts.FALSE_PAIR):
        values[A_TO_C, first, prompt, "language_mass"] = 0.5
    values[A_TO_C, first, contexts.FALSE_PAIR, "false_word_mass"] = 0.3
    values[A_TO_C, first, contexts.FALSE_PAIR, "right_word_mass"] = 0.3
    for num_pairs, place in contexts.COUNTS.items():
        tier, mass = contexts.tier_of(place, 1), bayes_of(num_pairs)
        values |= {
            (A_TO_C, tier, BARE, "language_mass"): mass,
            (A_TO_C, tier, BARE, "bayes_posterior"): mass,
            (A_TO_C, tier, BARE, "epsilon"): 1 - mass,
            (A_TO_C, tier, BARE, "bayes_equation_1_gap_line_2"): 1.0,
            (A_TO_C, tier, BARE, "bayes_equation_1_gap_line_4"): 0.02,
        }
    values[A_TO_C, "counts", BARE, "prior_slope"] = 1.0
    values[A_TO_C, "counts", BARE, "prior_offset"] = 0.0
    for mapping in (A_TO_B, "B->C", A_TO_C):
        tier = "sparse_a_to_c:fresh_windows"
        values[mapping, tier, "all", "bayes_loss"] = 0.6
        values[mapping, tier, "all", "excess_over_bayes"] = 0.01
    return values


def evidence_of(changes, seeds=SEEDS, spread=0.0):
    """Scripts rows; changes are {(mapping, tier, prompt, metric): value}.

    A "*" stands for anything, a tuple has values that take turns; seeds
    differ by `spread` besides, but for what is exact.
    """
    values = scripted(seeds)
    for pattern, value in changes.items():
        found = [k for k in values if matches(pattern, k)]
        assert found, pattern
        values |= dict.fromkeys(found, value)
    experiment, condition = PLACE.split("/")
    rows = []
    for key, value in values.items():
        is_exact = key[3].startswith("bayes_")
        step = 0.0 if is_exact else spread if np.mean(value) < 0.5 else -spread
        rng = np.random.default_rng(zlib.crc32("".join(key).encode()))
        for i, seed in enumerate(seeds):
            one = value[i % len(value)] if isinstance(value, tuple) else value
            head = experiment, condition, seed, 15, 390
            one += step * (i % 2 + 0.1 * rng.random())
            rows.append((*head, *key, one))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    curves = SPARSE_CURVES[SPARSE_CURVES["seed"].isin(seeds)]
    level = FAMILY.interval_level
    frame = pd.concat([frame, curves], ignore_index=True)
    return Evidence(frame, seeds, None, pd.DataFrame(), level)


def matches(pattern, key):
    return all(p in ("*", k) for p, k in zip(pattern, key, strict=True))


def metric(name, value, mapping="*", tier="*", prompt="*"):
    return {(mapping, tier, prompt, name): value}


def after(num, label=A_TO_C):
    return {"prompt": contexts.demonstrated(num, label)}


def at(place, word=1):
    return {"tier": contexts.tier_of(place, word)}


def outside(right_words, languages, num=(1, 2), label=A_TO_C):
    changes = {}
    for i in num:
        changes |= metric("outside_right_words", right_words, **after(i, label))
        changes |= metric("outside_languages", languages, **after(i, label))
    return changes


def prior(slope, offset):
    return metric("prior_slope", slope) | metric("prior_offset", offset)
