"""The tables of the controls, for README.md and two pages of docs.

Question  What does a model reach with 50 A->C pairs, beside what? And with 12
          pairs of each sparse mapping of four languages? Are words copied
          from the prompt?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.controls_table
Time      seconds

Numbers are those of docs/runs/verdicts: seeds that were kept for the rules.
"""

from pathlib import Path

import pandas as pd

from benchmarks.pages.judge import evidence_of, read_frames
from benchmarks.pages.markdown import DOCS, fill, percent, table
from experiments.claims.section_3 import FAMILY
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import FRACTION
from tiny_gpt.claims.values import IN_LANGUAGE, LEARNED
from tiny_gpt.runtime.files import write_text

ROOT = Path(__file__).parents[2]
UNSEEN = "unseen_sentences"
ROWS = {
    "sparse_a_to_c": "2500 A → B and 2500 B → C, as in the paper",
    "scrambled_a_to_c": (
        "the same, but A → C is another word list, which A → B → C never gives"
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
        "nothing; the same, cut into the same 17 training windows in every "
        "epoch"
    ),
}
FOUR_LANGUAGES = {
    "sparse_pairs": "5000 A → B, 4500 A → D and 4000 A → C, as in the paper",
    "scrambled_pairs": "the same, but the sparse mappings are others, which "
    "these never give",
    "no_route": "as many of F → B, E → D and A → C: no route by way of A",
    "unrelated_majority": "as many of E → F, F → G and E → G: nothing related",
}
SPARSE = ("D->B", "D->C", "B->C")
PROMPTS = {
    "2_demonstrations": "two pairs of A → C",
    "0_demonstrations": "none",
    "2_demonstrations_of_A->B": "two pairs of A → B, which hold no C word",
}


def write_table(evidence: Evidence) -> str:
    """Writes the table of the triangle's controls in Markdown."""
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
        count = sum(x > LEARNED for x in values.values())
        rows.append(
            [says, f"`{name}`", _mean(values), f"{count} of {len(values)}"]
        )
    return _as_markdown(rows)


def write_four_languages(evidence: Evidence) -> str:
    """Writes the table of four languages: words right in their language."""
    rows = [
        [
            "beside 12 pairs of each the model reads",
            "condition",
            *(f"{m.replace('->', ' → ')}, %" for m in SPARSE),
        ],
        ["---", "---", *["---:"] * len(SPARSE)],
    ]
    for name, says in FOUR_LANGUAGES.items():
        place = f"four_languages_controls/{name}"
        means = [
            _mean(evidence.final(place, mapping, IN_LANGUAGE))
            for mapping in SPARSE
        ]
        rows.append([says, f"`{name}`", *means])
    return _as_markdown(rows)


def write_prompts(evidence: Evidence) -> str:
    """Writes the table of other prompts: words right within C, %."""
    names = ("sparse_a_to_c", "scrambled_a_to_c")
    found = {
        prompt: [
            evidence.final(
                f"controls/{name}", "A->C", IN_LANGUAGE, UNSEEN, prompt
            )
            for name in names
        ]
        for prompt in PROMPTS
    }
    return table(
        ["solved pairs in front", *(f"`{name}`, %" for name in names)],
        (
            [PROMPTS[prompt], *(percent(pd.Series(each)) for each in values)]
            for prompt, values in found.items()
        ),
    )


def _mean(values: BySeed) -> str:
    mean = t_interval(list(values.values()), FAMILY.interval_level, FRACTION)
    numbers = (100 * x for x in (mean.value, mean.low, mean.high))
    value, low, high = (f"{x:.1f}" for x in numbers)
    return f"{value} ({low}–{high})"


def _as_markdown(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


PAGES = {
    ROOT / "README.md": {"controls": write_table},
    DOCS / "controls.md": {"controls": write_table, "prompts": write_prompts},
    DOCS / "four_languages.md": {"controls": write_four_languages},
}


def kept() -> Evidence:
    """Returns the committed frames of the kept seeds."""
    return evidence_of(read_frames([DOCS / "runs" / "verdicts"]))


def filled(path: Path, evidence: Evidence) -> str:
    """Returns the text of a page with its tables in place."""
    tables = {name: write(evidence) for name, write in PAGES[path].items()}
    return fill(path.read_text(), tables)


if __name__ == "__main__":
    evidence = kept()
    for path in PAGES:
        write_text(path, filled(path, evidence))
