"""The table and the figure of docs/composition.md.

Question  How often are A words that A->C never showed translated into C, and
          beside what?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.composition_page
Time      seconds

Numbers are those of docs/runs/composition, seeds that were kept for the rules,
or of the pilot as long as these are not there.
"""

from pathlib import Path

from benchmarks.pages.judge import evidence_of, read_frames
from experiments.claims.composition import FAMILY
from experiments.composition import CHANGES
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.claims.evidence import BySeed, Evidence, points, strip
from tiny_gpt.claims.measure import FRACTION
from tiny_gpt.report.figures import plot_strip
from tiny_gpt.runtime.files import write_text

DOCS = Path(__file__).parents[2] / "docs"
KEPT, PILOT = (
    DOCS / "runs" / name for name in ("composition", "composition_pilot")
)
FOLDER = KEPT if (KEPT / "metrics.csv.gz").exists() else PILOT
START, END = "<!-- composition: begin -->", "<!-- composition: end -->"
SAYS = {
    "held_out_{}_none": "nothing",
    "held_out_{}_placebo": "D → D, identity pairs of another language",
    "held_out_{}_bridge": "B → B, identity pairs of B",
}
OTHERS = {
    "no_route_bridge": "B → B; D → C in place of B → C: no way from B to C",
    "scrambled_bridge": "B → B; A → C is another dictionary",
    "common_target": "A → E and B → E: an answer in common, no identity",
    "second_target": "B → E and D → E: a second answer, not in common",
}
HELD_OUT = "held_out_words"


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
        values = evidence.final(f"composition/{name}", tier=HELD_OUT)
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
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _mean(values: BySeed) -> str:
    mean = t_interval(list(values.values()), FAMILY.interval_level, FRACTION)
    value, low, high = (
        f"{100 * x:.1f}" for x in (mean.value, mean.low, mean.high)
    )
    return f"{value} ({low}–{high})"


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
    scores = {
        says: evidence.final(f"composition/{name}", tier=HELD_OUT)
        for says, name in names.items()
    }
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
    """Returns a page with the table in place."""
    before, _, rest = page.partition(START)
    table = write_table(evidence)
    return f"{before}{START}\n\n{table}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    evidence = kept()
    path = DOCS / "composition.md"
    write_text(path, filled(path.read_text(), evidence))
    draw(evidence)
