"""Rules of the claim about the design of prompts."""

from experiments.claims.section_2 import FAMILY
from experiments.measurements.prompts import (
    ASKED,
    EXCHANGED,
    NAME,
    OTHER,
    SHIFTS,
    WITHOUT_MARKS,
    demonstrated,
    ordered,
    shifted,
)
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    Values,
    difference,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    either,
    observed,
    within,
)
from tiny_gpt.claims.values import (
    CHANCE,
    MARGIN,
    OF_ACCURACY,
    UNSEEN,
    dots,
    final,
)

PLACE = f"theory/{NAME}"
TWO, ONE, NONE = map(demonstrated, (2, 1, 0))
LAST_IS_RIGHT, LAST_IS_OTHER = ordered(OTHER, ASKED), ordered(ASKED, OTHER)
FARTHEST = shifted(2, max(SHIFTS[2]))
COMPARED = (TWO, ONE, LAST_IS_RIGHT, LAST_IS_OTHER, FARTHEST, WITHOUT_MARKS)
# In the words of the page, by prompt.
PROMPTS = {
    "2 of A->C": TWO,
    "1 of A->C": ONE,
    "none": NONE,
    "A->B, then A->C": LAST_IS_RIGHT,
    "A->C, then A->B": LAST_IS_OTHER,
    **{
        f"{num} of A->C, from position {shift}": shifted(num, shift)
        for num, shifts in SHIFTS.items()
        for shift in shifts
    },
    "2 of A->C, no end marks": WITHOUT_MARKS,
    "2 of A->C, marks exchanged": EXCHANGED,
}


def _after(prompt: str, metric: str = "accuracy_aligned") -> Values:
    return final(PLACE, ASKED, metric, prompt=prompt)


def _component(name: str, first: str, second: str) -> Measure:
    return difference(name, _after(first), _after(second))


_COMPONENTS = (
    _component("number: 2 - 1 demonstrations", TWO, ONE),
    _component("order: A->C last - A->B last", LAST_IS_RIGHT, LAST_IS_OTHER),
    _component(f"position: from {max(SHIFTS[2])} - from 0", FARTHEST, TWO),
    _component("format: as trained - no end marks", TWO, WITHOUT_MARKS),
)
_NAMES = tuple(measure.name for measure in _COMPONENTS)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="prompt_design",
        title="Number, order, place or form of demonstrations matter",
        statement=(
            "We highlight the influence of prompt design on pattern "
            "recognition and task performance."
        ),
        source="Sinha 2024, abstract",
        conditions=(PLACE,),
        statistic=(
            "A->C, 50 pairs beside the majority, share of words right and in "
            "place, greedy, 256 unseen sentences; paired differences between "
            "prompts: two demonstrations and one; A->B, then A->C and the "
            f"other order; {max(SHIFTS[2])} tokens of another A->C pair "
            "before two demonstrations and none, the most that the window "
            "holds; two demonstrations as trained and without their end marks"
        ),
        measures=_COMPONENTS,
        shown=(
            *(
                Measure(name=says, values=_after(prompt), bounds=FRACTION)
                for says, prompt in PROMPTS.items()
            ),
            *(
                Measure(
                    name=f"{says}, among C words",
                    values=_after(prompt, "accuracy_in_language"),
                    bounds=FRACTION,
                )
                for says, prompt in PROMPTS.items()
                if prompt in COMPARED
            ),
        ),
        observation=observed(
            either(
                CONFIRMED,
                *((above(name, MARGIN),) for name in _NAMES),
                *((below(name, -MARGIN),) for name in _NAMES),
            ),
            case(
                NOT_CONFIRMED,
                *(within(name, -MARGIN, MARGIN) for name in _NAMES),
            ),
        ),
        margin=OF_ACCURACY,
        seen=(
            "With seeds 0 to 9 and 100 to 109 the number of demonstrations "
            "had been seen, and the probability of C words after A->B and "
            "A->C in both orders (docs/runs/reproduce_quick, docs/runs/theory "
            "and the same `_fresh`). After the rule had been written, all "
            "prompts were seen with seed 1000. Seeds 200 to 219 had not been."
        ),
        scenarios=(
            Scenario(
                CONFIRMED, {**dict.fromkeys(_NAMES, 0.0), _NAMES[1]: 0.15}
            ),
            Scenario(NOT_CONFIRMED, dict.fromkeys(_NAMES, 0.0)),
        ),
        figure=dots(
            UNSEEN,
            {says: _after(prompt) for says, prompt in PROMPTS.items()},
            {"chance": CHANCE},
        ),
    ),
)
