"""Rules of the claims about prompts: what dominates, and what decides."""

from experiments.claims.section_3 import FAMILY, SEEN, WORDS
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence, strip
from tiny_gpt.claims.measure import FRACTION, Measure, share, subtract
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    observed,
)
from tiny_gpt.claims.values import (
    CHANCE,
    LEARNED,
    MOST,
    OF_SHARES,
    SPARSE,
    UNSEEN,
    final,
)

RISE = 2 * CHANCE


_DOMINATES = share(
    "seeds in which most answers are B words",
    final(
        SPARSE,
        metric="error_pivot_word",
        tier="all_sentences",
        prompt="0_demonstrations",
    ),
    above=LEARNED,
)


def of_prompt(evidence: Evidence) -> BySeed:
    """Accuracy after demonstrations of A->C minus after those of A->B."""
    most = evidence.num_demonstrations
    wrong = final(SPARSE, prompt=f"{most}_demonstrations_of_A->B")
    return subtract(final(SPARSE)(evidence), wrong(evidence))


_PROMPT = share(
    "seeds in which the prompt makes 25 points", of_prompt, above=RISE
)


def _prompts(evidence: Evidence):
    most = evidence.num_demonstrations
    names = {
        f"{most} of A->C": None,
        "1 of A->C": "1_demonstrations",
        "none": "0_demonstrations",
        f"{most} of A->B": f"{most}_demonstrations_of_A->B",
    }
    groups = {
        label: evidence.final(SPARSE, prompt=prompt)
        for label, prompt in names.items()
    }
    return strip(evidence, UNSEEN, groups, {"chance": CHANCE})


CLAIMS = (
    Claim(
        family=FAMILY,
        name="proposition_2",
        title="The mapping with most training pairs dominates",
        statement=(
            "An increase in the number of pre-training examples for a context "
            "indicates a pattern that will dominate the output."
        ),
        source="Sinha 2024, prop. 2",
        conditions=(SPARSE,),
        statistic=(
            "share of words for which the B word is given, asked for A->C "
            "without a demonstration"
        ),
        measures=(_DOMINATES,),
        shown=(
            Measure(
                name="B word, no demonstration",
                values=final(
                    SPARSE,
                    metric="error_pivot_word",
                    tier="all_sentences",
                    prompt="0_demonstrations",
                ),
                bounds=FRACTION,
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_DOMINATES.name, MOST)),
            case(NOT_CONFIRMED, below(_DOMINATES.name, MOST)),
        ),
        margin="To dominate is to give more than half of the words.",
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_DOMINATES.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_DOMINATES.name: 0.05}),
        ),
    ),
    Claim(
        family=FAMILY,
        name="prompts",
        title="The prompt decides which mapping is applied",
        statement=(
            "We highlight the influence of prompt design on pattern "
            "recognition and task performance."
        ),
        source="Sinha 2024, abstract and assumption 1",
        conditions=(SPARSE,),
        statistic=f"{WORDS}; after demonstrations of A->C minus after as many "
        "of A->B",
        measures=(_PROMPT,),
        observation=observed(
            case(CONFIRMED, above(_PROMPT.name, MOST)),
            case(NOT_CONFIRMED, below(_PROMPT.name, MOST)),
        ),
        margin=f"25 points are two words of a list of 8. {OF_SHARES}",
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_PROMPT.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_PROMPT.name: 0.05}),
        ),
        figure=_prompts,
    ),
)
