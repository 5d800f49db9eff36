"""Rules of lemma 1: attention with a perturbed f."""

import math

from experiments.claims.section_2 import FAMILY, SEEN
from experiments.measurements.perturbation import EPSILONS, SCALES
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import Evidence, series
from tiny_gpt.claims.measure import Measure, Values
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
    within,
)
from tiny_gpt.claims.values import measured

TENTH = 0.1  # from here on a change, or a departure, is not small
LINEAR = (0.99, 1.01)  # of a slope that is 1 but for rounding
POSITIVE = (0.0, math.inf)
SEARCHED = (1e-4, 1e3)  # epsilons among which a break is looked for
DRAWN = EPSILONS[:-1]  # at 1 several layers leave any scale
BLOCKS = ("gpt_0", "gpt_1")
KINDS = ("random", "trained")


def _perturbed(tier: str, prompt: str, metric: str) -> Values:
    return measured(
        "theory/perturbation", tier=tier, prompt=prompt, metric=metric
    )


_SLOPES = tuple(
    Measure(
        name=f"slope, {kind} weights",
        values=_perturbed(f"{kind}_1", "uniform", "layer_slope"),
        unit="ratio",
    )
    for kind in KINDS
)
_CHANGES = tuple(
    Measure(
        name=f"change of the {part}, {kind} weights",
        values=_perturbed(f"{kind}_1", "uniform", f"{part}_change"),
        bounds=POSITIVE,
    )
    for kind in KINDS
    for part in ("output", "update")
)


def _breaks(name: str, tier: str, prompt: str = "per_pair") -> Measure:
    return Measure(
        name=name,
        values=_perturbed(tier, prompt, "breaks_at"),
        unit="ratio",
        bounds=SEARCHED,
    )


_BREAKS = tuple(
    _breaks(f"epsilon that breaks block {i}", block)
    for i, block in enumerate(BLOCKS)
)


def _departures(labels: dict[str, str], prompt: str, of: str):
    """Returns the figure of departures against epsilon, for a claim."""

    def figure(evidence: Evidence):
        parts = [
            series(
                evidence,
                label,
                DRAWN,
                [
                    _perturbed(tier, prompt, f"departure_{x:.2g}")(evidence)
                    for x in DRAWN
                ],
                POSITIVE,
            )
            for tier, label in labels.items()
        ]
        return {
            "kind": "curve",
            "unit": "ratio",
            "axis": (
                "Departure from linearity (share of the first-order change)"
            ),
            "x_axis": f"epsilon, relative to {of}",
            "log_x": True,
            "series": parts,
            "lines": {"a tenth": TENTH},
        }

    return figure


CLAIMS = (
    Claim(
        family=FAMILY,
        name="lemma_1",
        title="Perturbing f changes linear attention linearly, and little",
        statement=(
            "If f is perturbed by a small epsilon, the output z_j remains "
            "largely unaffected, with the difference bounded by O(epsilon)."
        ),
        source="Sinha 2024, lemma 1",
        conditions=("theory/perturbation",),
        statistic=(
            "Printed, z_j is summed in place of z_i, and z_j PV multiplies "
            "the sum in place of z_j + PV: a number, where z_j is a vector. "
            "Read as z_j <- z_j + PV sum_i z_i f(z_i, z_j); in every reading "
            "the change is epsilon times what does not depend on it (PV sum_i "
            "z_i; n PV z_j; n z_j^T PV z_j), so that O(epsilon^2) of the "
            "proof is exactly 0. One layer. Observation: change at 1 % of the "
            "typical f, relative to the output (with z_j +) and to what "
            "attention adds (as printed), with random and with trained "
            "weights. Explanation: slope of log change against log epsilon, "
            "1e-4 to 1 of the typical f, of the Keras layer"
        ),
        measures=(*_CHANGES, *_SLOPES),
        shown=tuple(
            _breaks(
                f"epsilon that breaks {depth} layers",
                f"trained_{depth}",
                "uniform",
            )
            for depth in (2, 4)
        ),
        observation=observed(
            case(CONFIRMED, *(below(m.name, TENTH) for m in _CHANGES)),
            either(NOT_CONFIRMED, *((above(m.name, TENTH),) for m in _CHANGES)),
        ),
        cause="The change is linear in epsilon.",
        explanation=explained(
            case(SUPPORTED, *(within(m.name, *LINEAR) for m in _SLOPES)),
            either(
                CONTRADICTED,
                *((below(m.name, LINEAR[0]),) for m in _SLOPES),
                *((above(m.name, LINEAR[1]),) for m in _SLOPES),
            ),
        ),
        margin=(
            "A tenth of what it changes is ten times the perturbation of 1 %: "
            "no longer small. The slope is exactly 1 in exact arithmetic; one "
            "in a hundred is left for rounding."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {m.name: 0.05 for m in _CHANGES}),
            Scenario(NOT_CONFIRMED, {_CHANGES[-1].name: 0.2}),
            Scenario(SUPPORTED, {m.name: 1.0 for m in _SLOPES}),
            Scenario(CONTRADICTED, {_SLOPES[-1].name: 1.05}),
        ),
        figure=_departures(
            {
                "trained_1": "1 layer",
                "trained_2": "2 layers",
                "trained_4": "4 layers",
            },
            "uniform",
            "f",
        ),
    ),
    Claim(
        family=FAMILY,
        name="lemma_1_softmax",
        title="Lemma 1 carries over to softmax attention",
        statement=(
            "Linear self-attention serves as a simplified approximation of "
            "the softmax self-attention used in standard transformers."
        ),
        source="Sinha 2024, sec. 2.3 and lemma 1",
        conditions=("theory/perturbation",),
        statistic=(
            "f read as the logit. The lemma's epsilon, the same for all "
            "pairs, then changes nothing at all; f as the weight after the "
            "softmax is linear again. What is left to test: a normal "
            "perturbation of each pair, in the attention of each block of the "
            "trained GPT; the epsilon, relative to the spread of the logits "
            "over the keys of a query, at which the change departs by 10 % "
            "from its first order"
        ),
        measures=_BREAKS,
        shown=(
            *(
                Measure(
                    name=f"spread of the logits, block {i}",
                    values=_perturbed(block, "all", "spread"),
                    unit="ratio",
                    bounds=POSITIVE,
                )
                for i, block in enumerate(BLOCKS)
            ),
            Measure(
                name="change by one constant on all logits",
                values=_perturbed(BLOCKS[-1], "uniform", "update_change_at_1"),
                bounds=POSITIVE,
            ),
            *(
                _breaks(
                    f"epsilon that breaks random logits of spread {scale:g}",
                    f"softmax_{scale:g}",
                )
                for scale in SCALES
            ),
        ),
        observation=observed(
            case(CONFIRMED, *(above(m.name, TENTH) for m in _BREAKS)),
            either(NOT_CONFIRMED, *((below(m.name, TENTH),) for m in _BREAKS)),
        ),
        margin=(
            "A tenth of the spread of the logits is a small perturbation: it "
            "changes no order of keys that are a spread apart. A departure by "
            "a tenth is the largest that still counts as linear."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {m.name: 0.15 for m in _BREAKS}),
            Scenario(NOT_CONFIRMED, {_BREAKS[-1].name: 0.06}),
        ),
        figure=_departures(
            {
                "gpt_0": "GPT, block 0",
                "gpt_1": "GPT, block 1",
                "softmax_1": "random, spread 1",
            },
            "per_pair",
            "the spread of the logits",
        ),
    ),
)
