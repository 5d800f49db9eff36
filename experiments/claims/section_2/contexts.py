"""Rules of assumption 1: contexts are mappings."""

import math

import numpy as np

from experiments.claims.section_2 import FAMILY, SEEN
from experiments.claims.section_2.context_equations import (
    BARE,
    MOST_SHOWN,
    PLACE,
    of,
    read,
)
from experiments.measurements.contexts import (
    COMMON,
    FALSE_PAIR,
    MIXED,
    RARE,
    SPARSE,
    demonstrated,
    mixed,
    tier_of,
)
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import (
    BySeed,
    Evidence,
    average,
    by_seed,
    strip,
)
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    Values,
    difference,
    share,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    SUPPORTED,
    above,
    below,
    case,
    either,
    explained,
    observed,
)
from tiny_gpt.claims.values import LEARNED, MARGIN, MOST, epochs_of, mean_of

# A right word with probability 0.95, nats.
NEAR_BAYES = -math.log(1 - MARGIN)
NAMES = {"right_words": "right words", "languages": "B and C words"}
SHOWN = {
    label: demonstrated(MOST_SHOWN[SPARSE], label) for label in (RARE, COMMON)
}


def _outside(kind: str, label: str) -> Values:
    prompts = [demonstrated(i, label) for i in range(1, MOST_SHOWN[SPARSE] + 1)]
    return mean_of([of(f"outside_{kind}", "all", p) for p in prompts])


def _hardly_outside(kind: str, label: str) -> Measure:
    return share(
        f"seeds with less than 5 % outside {NAMES[kind]}, {label} shown",
        _outside(kind, label),
        below=MARGIN,
    )


def _mean_outside(kind: str, label: str) -> Measure:
    return Measure(
        name=f"outside {NAMES[kind]}, {label} shown",
        values=_outside(kind, label),
        unit="probability",
        bounds=FRACTION,
    )


def _of_false_pair(name: str, metric: str) -> Measure:
    return Measure(
        name=f"false pair: {name}",
        values=of(metric, RARE, FALSE_PAIR),
        unit="probability",
        bounds=FRACTION,
    )


_MOVED = difference(
    "C words, A->C against A->B shown",
    of("language_mass", RARE, SHOWN[RARE]),
    of("language_mass", RARE, SHOWN[COMMON]),
)
_COARSE, _FINE = (
    tuple(_hardly_outside(kind, label) for label in (RARE, COMMON))
    for kind in ("languages", "right_words")
)


def _masses(evidence: Evidence):
    most = MOST_SHOWN[SPARSE]
    prompts = {
        "no demonstration": BARE,
        f"{most} of A->C": SHOWN[RARE],
        f"{most} of A->B": SHOWN[COMMON],
        "A->C, then A->B": mixed(MIXED[0]),
        "A->B, then A->C": mixed(MIXED[1]),
        "one false pair": FALSE_PAIR,
    }
    masses = {
        name: read(evidence, "language_mass", RARE, prompt)
        for name, prompt in prompts.items()
    }
    bayes = read(evidence, "bayes_posterior", RARE, BARE)
    lines = {"Bayes, no demonstration": float(np.mean([*bayes.values()]))}
    axis = "Probability of C words at the first answer"
    return {**strip(evidence, axis, masses, lines), "unit": "fraction"}


def over_words(evidence: Evidence, metric: str, prompt: str) -> BySeed:
    """Returns the mean over the answer words of `SPARSE`, by seed."""
    rows = evidence.rows(PLACE, mapping="all", prompt=prompt, metric=metric)
    start = tier_of(SPARSE, 1).removesuffix("1")
    tiers = sorted({t for t in rows["tier"] if t.startswith(start)})
    return average([by_seed(rows[rows["tier"] == tier]) for tier in tiers])


def _distance(name: str, values: Values) -> Measure:
    return Measure(
        name=f"KL, {name}", values=values, unit="nats", bounds=(0.0, math.inf)
    )


def _after_two(label: str) -> Values:
    return lambda evidence: over_words(evidence, "kl_from_bayes", SHOWN[label])


_PROMPTS: dict[str, Values] = {
    "first word, no demonstration": of("kl_from_bayes", "all", BARE),
    f"{MOST_SHOWN[SPARSE]} of {RARE}": _after_two(RARE),
    f"{MOST_SHOWN[SPARSE]} of {COMMON}": _after_two(COMMON),
}
_NEAR = tuple(
    share(f"seeds near Bayes, {name}", values, below=NEAR_BAYES)
    for name, values in _PROMPTS.items()
)


def _fresh(evidence: Evidence, mapping: str, metric: str) -> BySeed:
    tier = f"{SPARSE.split('/')[1]}:fresh_windows"
    rows = evidence.rows(
        PLACE, mapping=mapping, tier=tier, prompt="all", metric=metric
    )
    return by_seed(rows)


def _excess(mapping: str) -> Measure:
    return Measure(
        name=f"{mapping}, fresh windows above Bayes",
        values=lambda evidence: _fresh(evidence, mapping, "excess_over_bayes"),
        unit="nats",
    )


def _above_bayes(evidence: Evidence):
    lines = []
    for mapping in (COMMON, "B->C", RARE):
        floor = _fresh(evidence, mapping, "bayes_loss")
        curves = evidence.curves(
            SPARSE, "loss_all_tokens", mapping, "fresh_windows"
        )
        curves = {seed: curve - floor[seed] for seed, curve in curves.items()}
        lines.append(epochs_of(evidence, mapping, curves))
    return {
        "kind": "epochs",
        "axis": "Loss on fresh windows above Bayes (nats per token)",
        "series": lines,
        "lines": {"Bayes": 0.0},
        "marks": {},
    }


CLAIMS = (
    Claim(
        family=FAMILY,
        name="assumption_1",
        title="The model answers by the contexts of its training text",
        statement=(
            "A trained causal GPT language model behaves as a probabilistic "
            "model with a given context, one of a discrete set of recurring "
            "patterns of the pre-training data. As printed y_t is a maximum "
            "over y_t of itself and no distribution is named; read as: "
            "Pr(y|x) is a sum over contexts, and the prompt moves the "
            "weights. A context is a mapping, certain of its right word, or, "
            "more coarsely, a target language, of which it gives some word."
        ),
        source="Sinha 2024, assumption 1",
        conditions=(PLACE,),
        statistic=(
            "probability at the first answer word, mean of 256 questions. "
            "Observation, contexts of either kind: of C words, after 2 "
            "demonstrations of A->C minus after 2 of A->B, paired; outside "
            "all words of B and C, mean of 1 and 2 demonstrations of either. "
            "Explanation, mappings: outside the right words of A->B and "
            "A->C, after the same."
        ),
        measures=(_MOVED, *_COARSE, *_FINE),
        shown=(
            *(
                _mean_outside(kind, label)
                for kind in NAMES
                for label in (RARE, COMMON)
            ),
            _of_false_pair("its wrong word", "false_word_mass"),
            _of_false_pair("the right word", "right_word_mass"),
        ),
        observation=observed(
            case(
                CONFIRMED,
                above(_MOVED.name, LEARNED),
                *(above(m.name, MOST) for m in _COARSE),
            ),
            either(
                NOT_CONFIRMED,
                (below(_MOVED.name, LEARNED),),
                *((below(m.name, MOST),) for m in _COARSE),
            ),
        ),
        cause="Contexts are mappings, each certain of its right word.",
        explanation=explained(
            case(SUPPORTED, *(above(m.name, MOST) for m in _FINE)),
            either(CONTRADICTED, *((below(m.name, MOST),) for m in _FINE)),
        ),
        margin=(
            "A prompt that moves the weights moves more than half of all "
            "probability. 5 % is what a mixture over contexts may leave to "
            "other words. Seeds fall into two groups, so they are counted, "
            "and more than half of all seeds must do it."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(
                CONFIRMED,
                {_MOVED.name: 0.9, **{m.name: 0.95 for m in _COARSE}},
            ),
            Scenario(NOT_CONFIRMED, {_MOVED.name: 0.1}),
            Scenario(NOT_CONFIRMED, {_COARSE[0].name: 0.05}),
            Scenario(SUPPORTED, {m.name: 0.95 for m in _FINE}),
            Scenario(CONTRADICTED, {_FINE[0].name: 0.05}),
        ),
        figure=_masses,
    ),
    Claim(
        family=FAMILY,
        name="assumption_1_bayes",
        title="Its weights are those of Bayes",
        statement=(
            "The final probability of the token depends on multiple context "
            "patterns, weighing the probabilities of x and y against those in "
            "the pre-training data."
        ),
        source="Sinha 2024, assumption 1 and note to prop. 2",
        conditions=(PLACE, SPARSE),
        statistic=(
            "Kullback-Leibler divergence of the model from the exact Bayes "
            "predictor of its text, nats per answer word: the first without a "
            "demonstration, all four after 2 of A->C and of A->B"
        ),
        measures=_NEAR,
        shown=(
            *(_distance(name, values) for name, values in _PROMPTS.items()),
            *(_excess(mapping) for mapping in (COMMON, "B->C", RARE)),
        ),
        observation=observed(
            case(CONFIRMED, *(above(m.name, MOST) for m in _NEAR)),
            either(NOT_CONFIRMED, *((below(m.name, MOST),) for m in _NEAR)),
        ),
        margin=(
            "0.051 nats are what a predictor pays that gives the right word "
            "0.95 where Bayes is certain. Seeds fall into two groups, so they "
            "are counted, and more than half of all seeds must be as near."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {m.name: 0.95 for m in _NEAR}),
            Scenario(NOT_CONFIRMED, {_NEAR[1].name: 0.05}),
        ),
        figure=_above_bayes,
    ),
)
