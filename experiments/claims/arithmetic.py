"""Rules of arithmetic, a family of its own: is f used again, is h composed?"""

from experiments.arithmetic import NAME, NETWORKS, SHOWN
from tiny_gpt.claims.claim import Claim, Family, Scenario
from tiny_gpt.claims.measure import Measure, Values, difference
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    either,
    observed,
)
from tiny_gpt.claims.values import MARGIN, dots, final
from tiny_gpt.tasks.arithmetic.task import Arithmetic

KINDS = ("reuse", "composition")
FAMILY = Family(
    name="arithmetic",
    title="Arithmetic: composed, or used again?",
    seeds=(270, 279),
    target="exp-arithmetic",
    page="protocol_arithmetic.md",
    num_intervals=2 * len(KINDS) * len(NETWORKS),
    claims=tuple(f"{NAME}_{net}_{kind}" for kind in KINDS for net in NETWORKS),
)
TASK = Arithmetic(SHOWN)
UNSEEN = TASK.num_rows - SHOWN
ROWS = (
    f"share of the {UNSEEN} rows of h that were not read ({SHOWN} of "
    f"{TASK.num_rows} were) whose answer is right, greedy, at the end. Paired "
    "differences: a seed gives all variants the same h, rows and weights"
)
OF_ROWS = (
    f"5 points are {MARGIN * UNSEEN:.0f} of {UNSEEN} rows, less than one value "
    "of f: a smaller difference would not change what is said about h."
)
SEEN = (
    "Seeds 1000 to 1002 of f and g without h had been seen "
    "(docs/runs/arithmetic_rates). With other settings, at which the GPT "
    "learned the table of f by heart, the variant scrambled had been seen at "
    "several numbers of rows, and one seed of all variants of the GPT. Seeds "
    "270 to 279 had not been seen."
)


def _right(name: str, variant: str) -> Values:
    place = f"{NAME}/{name}_{variant}"
    return final(place, "h", prompt="0_demonstrations")


def _leads(name: str, first: str, others: tuple[str, ...]) -> list[Measure]:
    return [
        difference(
            f"{first} - {other}".replace("_", " "),
            _right(name, first),
            _right(name, other),
        )
        for other in others
    ]


def _claim(
    name: str,
    kind: str,
    title: str,
    statement: str,
    source: str,
    first: str,
    others: tuple[str, ...],
    shown: tuple[Measure, ...] = (),
) -> Claim:
    """Returns the claim that one variant is ahead of two others."""
    leads = _leads(name, first, others)
    names = [lead.name for lead in leads]
    variants = (first, *others)
    return Claim(
        family=FAMILY,
        name=f"{NAME}_{name}_{kind}",
        title=title,
        statement=statement,
        source=source,
        conditions=tuple(f"{NAME}/{name}_{v}" for v in variants),
        statistic=ROWS,
        measures=tuple(leads),
        shown=shown,
        observation=observed(
            case(CONFIRMED, *(above(m, MARGIN) for m in names)),
            either(NOT_CONFIRMED, *((below(m, MARGIN),) for m in names)),
        ),
        margin=OF_ROWS,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, dict.fromkeys(names, 0.3)),
            Scenario(NOT_CONFIRMED, dict.fromkeys(names, 0.0)),
        ),
        figure=dots(
            f"Accuracy, unseen rows of h, {NETWORKS[name]}",
            {v.replace("_", " "): _right(name, v) for v in variants},
            {
                "chance": 1 / TASK.num_answers,
                "re-use at best": TASK.reuse_on_unseen or 0.0,
            },
        ),
    )


def _reuse(name: str) -> Claim:
    return _claim(
        name,
        "reuse",
        f"{NETWORKS[name]} uses f again for h",
        (
            "What was learned of one mapping is used for another that goes "
            "through it, where the rest of the way has to be learned."
        ),
        "tiny_gpt, after Sinha 2024, prop. 1",
        "scrambled",
        ("no_f", "alone"),
    )


def _composition(name: str) -> Claim:
    bridge = difference(
        "bridge - real", _right(name, "bridge"), _right(name, "real")
    )
    return _claim(
        name,
        "composition",
        f"{NETWORKS[name]} composes h of f and g",
        (
            "A rare mapping is learned beside two common ones by going from "
            "the first to the second."
        ),
        "Sinha 2024, assumption 2 and fig. 3, said of translation",
        "real",
        ("scrambled", "no_g"),
        (bridge,),
    )


CLAIMS = (*map(_reuse, NETWORKS), *map(_composition, NETWORKS))
