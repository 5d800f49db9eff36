"""The table of the controls, for README.md and docs/controls.md.

Question  What does a model reach with 50 A->C pairs, beside what?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.controls_table
Time      seconds

Numbers are those of docs/runs/verdicts: seeds that were kept for the rules.
"""

from pathlib import Path

from benchmarks.pages.judge import evidence_of, read_frames
from experiments.claims.section_3 import FAMILY
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.values import LEARNED
from tiny_gpt.runtime.files import write_text

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "controls.md")
START, END = "<!-- controls: begin -->", "<!-- controls: end -->"
ROWS = {
    "sparse_a_to_c": "2500 A → B and 2500 B → C, as in the paper",
    "scrambled_a_to_c": (
        "the same, but A → C is another dictionary, which A → B → C never gives"
    ),
    "no_route_to_c": "2500 A → B and 2500 D → C: no route from A to C",
    "unrelated_majority": "2500 D → E and 2500 E → F: nothing related",
    "a_to_c_alone_equal_tokens": (
        "nothing; the 50 pairs repeated in random order, 5050 pairs in all"
    ),
    "a_to_c_alone_rotated": (
        "nothing; the 50 pairs once and in one order, for as many updates, "
        "cut elsewhere in each epoch"
    ),
    "a_to_c_alone_equal_updates": (
        "nothing; the same, cut into the same 17 pieces in every epoch"
    ),
}


def write_table(evidence: Evidence) -> str:
    """Writes the table in Markdown."""
    rows = [
        [
            "beside 50 A → C pairs the model reads",
            "condition",
            "words right, %",
            "seeds above 50 %",
        ],
        ["---", "---", "---:", "---:"],
    ]
    for name, says in ROWS.items():
        values = evidence.final(f"controls/{name}")
        mean = t_interval(
            list(values.values()), FAMILY.interval_level, (0.0, 1.0)
        )
        numbers = (100 * x for x in (mean.value, mean.low, mean.high))
        value, low, high = (f"{x:.1f}" for x in numbers)
        count = sum(x > LEARNED for x in values.values())
        rows.append(
            [
                says,
                f"`{name}`",
                f"{value} ({low}–{high})",
                f"{count} of {len(values)}",
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def table() -> str:
    """Returns the table from the committed frames."""
    folder = ROOT / "docs" / "runs" / "verdicts"
    return write_table(evidence_of(read_frames([folder])))


def filled(page: str, rows: str) -> str:
    """Returns a page with the table in place."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n\n{rows}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    rows = table()
    for path in PAGES:
        write_text(path, filled(path.read_text(), rows))
