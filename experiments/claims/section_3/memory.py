"""Rules of the two claims about memory: the text, and the answers."""

from experiments import four_languages, triangle
from experiments.claims.section_3 import FAMILY, PUBLISHED, SEEN, WORDS
from experiments.claims.section_3.published_numbers import (
    CONDITION,
    loss_figure,
    published_curve,
)
from tiny_gpt.claims.claim import PAPER, Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    constant,
    difference,
    share,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    either,
    observed,
)
from tiny_gpt.claims.values import LEARNED, MOST, OF_SHARES, SPARSE, final
from tiny_gpt.experiment import loss_floor

FOUR = "four_languages/sparse_pairs"


def _over_floor(name: str, module, condition: str) -> Measure:
    def excess(evidence: Evidence) -> float:
        floor = loss_floor(module.build_experiment("paper", condition))
        curve = published_curve(evidence, condition, "loss", "all")
        return float(curve.iloc[-1]) - floor

    return constant(f"sec. {name}: published loss - floor", excess, "nats")


_FLOORS = (
    _over_floor("3.1", triangle, CONDITION),
    _over_floor("3.2", four_languages, "sparse_pairs"),
)


def _last_loss(tier: str):
    def values(evidence: Evidence) -> BySeed:
        curves = evidence.curves(SPARSE, "loss_all_tokens", "A->C", tier)
        return {seed: float(curve.iloc[-1]) for seed, curve in curves.items()}

    return values


_UNSEEN = share(
    "seeds above 50 %, unseen D->B sentences",
    final(FOUR, "D->B"),
    above=LEARNED,
)

CLAIMS = (
    Claim(
        family=FAMILY,
        name="memorised_text",
        title="Memorisation is not a factor: the training text",
        statement=(
            "Experiment 3.2 showed a remarkably high accuracy, further "
            "confirming that memorisation is not a factor in the model's "
            "performance."
        ),
        source="Sinha 2024, sec. 5",
        decided_on=PAPER,
        conditions=(),
        statistic=(
            "last published training loss minus the entropy floor of its "
            "text, below which no model falls that has not memorised it"
        ),
        measures=_FLOORS,
        shown=(
            difference(
                "ours, A->C text: fresh - training",
                _last_loss("fresh_windows"),
                _last_loss("training_windows"),
                unit="nats",
            ),
        ),
        observation=observed(
            either(NOT_CONFIRMED, *((below(m.name, 0.0),) for m in _FLOORS)),
        ),
        margin=(
            "The floor is a bound: any loss below it needs memory. A loss "
            "above it does not show that there is none, so this claim cannot "
            "be confirmed."
        ),
        seen=PUBLISHED,
        figure=lambda evidence: loss_figure(evidence, {}),
    ),
    Claim(
        family=FAMILY,
        name="memorised_answers",
        title="Memorisation is not a factor: the answers",
        statement=(
            "Experiment 3.2 showed a remarkably high accuracy, further "
            "confirming that memorisation is not a factor in the model's "
            "performance."
        ),
        source="Sinha 2024, sec. 5",
        conditions=(FOUR,),
        statistic=(
            f"{WORDS} of D->B. Recall of sentences scores chance there; "
            "recall of a list of 12 words is not excluded."
        ),
        measures=(_UNSEEN,),
        shown=(
            Measure(
                name="D->B, unseen sentences",
                values=final(FOUR, "D->B"),
                bounds=FRACTION,
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_UNSEEN.name, MOST)),
            case(NOT_CONFIRMED, below(_UNSEEN.name, MOST)),
        ),
        margin=OF_SHARES,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_UNSEEN.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_UNSEEN.name: 0.05}),
        ),
    ),
)
