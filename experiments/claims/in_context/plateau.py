"""The rules of the plateau and of the end, the same for each network."""

from experiments.claims.in_context import FAMILY, MIXES, SEEN
from experiments.claims.in_context.escapes import (
    LAST,
    SIZE,
    escapes,
    left_at_end,
    lost,
    ratio,
)
from experiments.in_context import NAME, NETWORKS, UPDATES
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import MEDIAN, Measure, difference, share
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    observed,
)
from tiny_gpt.claims.values import final
from tiny_gpt.tasks.in_context.source import FIXED

BUDGET = SIZE.num_epochs * UPDATES
LEAD = 1.25  # times as many updates
SMALLEST = 0.1  # nats, as of an event
NEARLY = 0.9  # of the way to the best reader


def _flipped(name: str, whose: str) -> Measure:
    return Measure(
        name=f"flipped prompt, answers of the {whose}",
        values=final(
            f"{NAME}/{name}_half_fixed",
            FIXED,
            f"answer_of_{whose}",
            "all_sentences",
            f"{SIZE.num_pairs - 1}_demonstrations_of_flipped",
        ),
        bounds=(0.0, 1.0),
    )


def _times(name: str) -> tuple[Measure, ...]:
    """Returns when seeds escape, and how many do; it decides nothing."""
    found = []
    for mix, says in MIXES.items():
        for way, says_way in ((0.5, "half of the way"), (NEARLY, "90 %")):
            times = escapes(f"{name}_{mix}", way)
            found += [
                Measure(
                    name=f"updates to {says_way}, {says}",
                    values=times,
                    unit="count",
                    kind=MEDIAN,
                ),
                share(
                    f"seeds that come {says_way} within {BUDGET}, {says}",
                    times,
                    below=BUDGET + 1.0,
                ),
            ]
    return tuple(found)


def _kept(name: str) -> tuple[Measure, ...]:
    """Returns what stays, and who wins; it decides nothing."""
    return (
        *(
            Measure(
                name=f"share of the gain that is lost again, {says}",
                values=lost(f"{name}_{mix}"),
                kind=MEDIAN,
            )
            for mix, says in MIXES.items()
        ),
        _flipped(name, "prompt"),
        _flipped(name, "weights"),
    )


def _plateau(name: str) -> Claim:
    earlier = Measure(
        name="updates to the escape, all fresh / half fixed",
        values=ratio(f"{name}_fresh", f"{name}_half_fixed"),
        unit="ratio",
        kind=MEDIAN,
    )
    return Claim(
        family=FAMILY,
        name=f"in_context_{name}_plateau",
        title=f"A fixed mapping ends the plateau of the {NETWORKS[name]}",
        statement=(
            "Windows that each have a bijection of their own are learned in "
            "context after a plateau; where half of the windows have one fixed "
            "bijection, it is shorter."
        ),
        source="tiny_gpt, one seed by hand",
        conditions=tuple(f"{NAME}/{name}_{mix}" for mix in MIXES),
        statistic=(
            f"loss of late answers, after {_in_words(SIZE.late)} pairs of a "
            "new bijection, nats. A seed escapes at the first measurement, "
            f"every {UPDATES} updates, at which the loss is half of the way "
            "down from log 8 to the loss on the same targets of the reader to "
            f"whom all 8! bijections are equally likely; within {BUDGET} "
            "updates, or its time is infinite. The ratio is that of the same "
            "seed, and unknown if neither escapes: each end of the interval "
            "then counts it where it makes the interval wider. Learning rate "
            "and batch are the same, so half fixed reads half as many fresh "
            "windows"
        ),
        measures=(earlier,),
        shown=_times(name),
        observation=observed(
            case(CONFIRMED, above(earlier.name, LEAD)),
            case(NOT_CONFIRMED, below(earlier.name, LEAD)),
        ),
        margin=(
            "A quarter more updates is a difference that a reader would see on "
            "the figure. Times may be infinite, so the median is compared, "
            "with the interval of the sign test; with 10 seeds and four "
            "intervals it goes from the smallest to the largest."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {earlier.name: 2.0}),
            Scenario(NOT_CONFIRMED, {earlier.name: 1.0}),
        ),
    )


def _end(name: str) -> Claim:
    further = difference(
        "nats above the best reader at the end, all fresh - half fixed",
        left_at_end(f"{name}_fresh"),
        left_at_end(f"{name}_half_fixed"),
        unit="nats",
    )
    ends = [
        Measure(
            name=f"nats above the best reader at the end, {says}",
            values=left_at_end(f"{name}_{mix}"),
            unit="nats",
        )
        for mix, says in MIXES.items()
    ]
    return Claim(
        family=FAMILY,
        name=f"in_context_{name}_end",
        title=f"A fixed mapping helps the {NETWORKS[name]} at the end",
        statement=(
            "Where half of the windows have one fixed bijection, new ones are "
            "answered better at the end than where no window has it."
        ),
        source="tiny_gpt, two exploratory seeds",
        conditions=tuple(f"{NAME}/{name}_{mix}" for mix in MIXES),
        statistic=(
            f"loss of late answers, after {_in_words(SIZE.late)} pairs of a "
            "new bijection, above that of the best reader on the same "
            f"answers, nats; mean of the last {LAST} measurements, up to "
            f"update {BUDGET}. Paired differences"
        ),
        measures=(further,),
        shown=(*ends, *_kept(name)),
        observation=observed(
            case(CONFIRMED, above(further.name, SMALLEST)),
            case(NOT_CONFIRMED, below(further.name, SMALLEST)),
        ),
        margin=(
            "0.1 nats are the smallest change that counts as an event in all "
            "frames of this project."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {further.name: 0.4}),
            Scenario(NOT_CONFIRMED, {further.name: 0.0}),
        ),
    )


def _in_words(numbers: tuple[int, ...]) -> str:
    return " and ".join(map(str, numbers))


CLAIMS = (*map(_plateau, NETWORKS), *map(_end, NETWORKS))
