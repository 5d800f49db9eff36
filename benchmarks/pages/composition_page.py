"""The tables and the figure of docs/composition.md.

Question  How often are A words that A->C never showed translated into C, and
          beside what?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.composition_page
Time      seconds

Numbers are those of docs/runs/composition, seeds that were kept for the rules,
or of the pilot as long as these are not there.
"""

import math
from pathlib import Path

from benchmarks.pages.judge import evidence_of, read_frames
from experiments.claims.composition import FAMILY
from experiments.composition import CHANGES
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.claims.evidence import (
    BySeed,
    Evidence,
    MissingRunsError,
    by_seed,
    points,
    strip,
)
from tiny_gpt.claims.measure import FRACTION
from tiny_gpt.report.figures import plot_strip
from tiny_gpt.runtime.files import write_text

DOCS = Path(__file__).parents[2] / "docs"
KEPT, PILOT = (
    DOCS / "runs" / name for name in ("composition", "composition_pilot")
)
FOLDER = KEPT if (KEPT / "metrics.csv.gz").exists() else PILOT
SAYS = {
    "held_out_{}_none": "nothing",
    "held_out_{}_placebo": "D → D, identity pairs of another language",
    "held_out_{}_bridge": "B → B, identity pairs of B",
}
HELD_OUT, SCRAMBLED = "held_out_words", "scrambled_bridge"
OTHERS = {
    "no_route_bridge": "B → B; D → C in place of B → C: no way from B to C",
    SCRAMBLED: "B → B; A → C is another word list",
    "common_target": "A → E and B → E: an answer in common, no identity",
    "second_target": "B → E and D → E: a second answer, not in common",
}
NETWORKS = {
    "held_out_2_none": "nothing",
    "held_out_2_placebo": "D → D",
    "held_out_2_bridge": "B → B",
    "common_target": "A → E and B → E",
    "second_target": "B → E and D → E",
}
POINT = "block_0.attention.answer"
# Column, measurement, mapping, prompt and metric; possible values.
INSIDE: dict[str, tuple[str, str, str, str, tuple[float, float]]] = {
    "A and B words alike": (
        *("composing", "A->C|B->C", POINT, f"alike_{HELD_OUT}"),
        (-math.inf, math.inf),
    ),
    "A → B's output like the B word's embedding": (
        *("composing", "A->B|B", "block_1.feed_forward.answer", "alike"),
        (-math.inf, math.inf),
    ),
    "answers that follow another B word, %": (
        *("composing", "A->C", "all", "exchange"),
        FRACTION,
    ),
    "the same, a D word, %": (
        *("composing", "A->C", "all", "exchange_control"),
        FRACTION,
    ),
    "held-out words follow B → C, %": (
        *("swap", "A->C", "held_out.updates_40", "new_held_out"),
        FRACTION,
    ),
    "shown words follow B → C, %": (
        *("swap", "A->C", "shown.updates_40", "new_shown"),
        FRACTION,
    ),
}


def rows_of() -> dict[str, str]:
    """Returns conditions in the order of the table, and their words."""
    grid = {
        name.format(n): says for n in (2, 3, 4) for name, says in SAYS.items()
    }
    return {**grid, **OTHERS, **_with_four()}


def _with_four() -> dict[str, str]:
    return {f"{name}_4": OTHERS[name] for name in list(OTHERS)[2:]}


def write_table(evidence: Evidence) -> str:
    """Writes the table in Markdown."""
    rows = [
        [
            "beside A → B, B → C and 50 A → C",
            "condition",
            "A words held out",
            "elimination, %",
            "these words right, %",
            "seeds above elimination",
        ],
        ["---", "---", "---:", "---:", "---:", "---:"],
    ]
    for name, says in rows_of().items():
        held_out = CHANGES[name].held_out
        values = _of(evidence, name)
        count = sum(value > 1 / held_out for value in values.values())
        rows.append(
            [
                says,
                f"`{name}`",
                str(held_out),
                f"{100 / held_out:.0f}",
                _mean(values),
                f"{count} of {len(values)}",
            ]
        )
        if name == SCRAMBLED:
            values = _of(evidence, name, "error_composed_word")
            count = sum(value > 1 / held_out for value in values.values())
            rows.append(
                [
                    "the same: the C word of the way through B",
                    *("", "2", "", _mean(values)),
                    f"{count} of {len(values)}",
                ]
            )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _of(
    evidence: Evidence, name: str, metric: str = "accuracy_aligned"
) -> BySeed:
    place = f"composition/{name}"
    return evidence.final(place, metric=metric, tier=HELD_OUT)


def _mean(values: BySeed, bounds: tuple[float, float] = FRACTION) -> str:
    mean = t_interval(list(values.values()), FAMILY.interval_level, bounds)
    digits, times, to = (1, 100, "–") if bounds == FRACTION else (2, 1, " to ")
    value, low, high = (
        f"{times * x:.{digits}f}".replace("-", "−")
        for x in (mean.value, mean.low, mean.high)
    )
    return f"{value} ({low}{to}{high})"


def write_inside(evidence: Evidence) -> str:
    """Writes the table of what was measured of the trained networks."""
    rows = [["added", *INSIDE], ["---", *["---:"] * len(INSIDE)]]
    for condition, says in NETWORKS.items():
        row = [says]
        for name, mapping, prompt, metric, bounds in INSIDE.values():
            try:
                found = evidence.rows(
                    f"composition/{name}",
                    mapping=mapping,
                    tier=condition,
                    prompt=prompt,
                    metric=metric,
                )
            except MissingRunsError:  # this network was not asked
                row.append("–")
                continue
            row.append(_mean(by_seed(found), bounds))
        rows.append(row)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def draw(evidence: Evidence) -> None:
    """Draws the conditions with two words held out, seed by seed."""
    names = {
        "nothing added": "held_out_2_none",
        "D → D": "held_out_2_placebo",
        "B → B": "held_out_2_bridge",
        "B → B, no route": "no_route_bridge",
        "A → E and B → E": "common_target",
        "B → E and D → E": "second_target",
    }
    scores = {says: _of(evidence, name) for says, name in names.items()}
    drawn = strip(
        evidence,
        "A → C, words that A → C never showed, right",
        scores,
        {"elimination": 0.5},
    )
    texts = [points(evidence.mean(values)) for values in scores.values()]
    figure = plot_strip(
        drawn["groups"], texts, drawn["axis"], drawn["lines"], True
    )
    figure.savefig(FOLDER / "composition.png", dpi=110, bbox_inches="tight")


def kept() -> Evidence:
    """Returns the committed frames."""
    return evidence_of(read_frames([FOLDER]), FAMILY.interval_level)


def filled(page: str, evidence: Evidence) -> str:
    """Returns a page with its tables in place."""
    for name, write in (("outside", write_table), ("inside", write_inside)):
        start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = page.partition(start)
        after = rest.partition(end)[2]
        page = f"{before}{start}\n\n{write(evidence)}\n{end}{after}"
    return page


if __name__ == "__main__":
    evidence = kept()
    path = DOCS / "composition.md"
    write_text(path, filled(path.read_text(), evidence))
    draw(evidence)
