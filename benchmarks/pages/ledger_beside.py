"""The tables of docs/claims.md and theory.md: verdicts beside earlier ones.

Question  What do the rules of the protocol say, what did the earlier rules
          say, and why do they differ?
Run       python -m benchmarks.pages.ledger_beside
Time      seconds

New verdicts are those of docs/runs/verdicts (seeds 200 to 219, kept for them)
and of docs/runs/exploratory (seeds 0 to 9 and 100 to 109, seen before). The
earlier ones are those of docs/runs/reproduce_quick and theory, each with its
fresh seeds.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_gpt.commands.reporting.verdicts import verdict_in_words
from tiny_gpt.report.entries import decisive, lacks_runs
from tiny_gpt.report.schema import EXPLANATIONS, OBSERVATIONS
from tiny_gpt.report.typeset import format_effect
from tiny_gpt.runtime.files import write_text

DOCS = Path(__file__).parents[2] / "docs"
START, END = "<!-- ledger: begin -->", "<!-- ledger: end -->"
# New name: the earlier name, if there was one, and why the rule changed.
CHANGES = {
    "fig_2a": (
        "fig_2a",
        "The control that was missing keeps order and updates, and moves the "
        "cut. Seeds are counted.",
    ),
    "fig_2b": ("fig_2b", "Seeds are counted: equal zeros are no certainty."),
    "fig_2c": ("fig_2c", "Seeds are counted, since they form two groups."),
    "composition": (
        "composition",
        "Learning it and composing it are two questions. Both controls must "
        "agree, on ranks within C, and no effect needs a margin.",
    ),
    "out_of_distribution": ("out_of_distribution", "Seeds are counted."),
    "assumption_2": (
        "assumption_2",
        "At 50 pairs at most 0.3 points could be gained. Now 4 to 16 pairs, "
        "at equal shares of the text.",
    ),
    "proposition_1": ("proposition_1", "As before."),
    "proposition_2": ("proposition_2", "Seeds are counted."),
    "prompts": ("prompts", "Seeds are counted."),
    "more_epochs": ("more_epochs", "Seeds that gain 5 points are counted."),
    "parameters_width": ("", "It had no test."),
    "parameters_depth": ("", "It had no test."),
    "distinct_drops": ("", "It had no test: the paper's first contribution."),
    "mirage": (
        "mirage",
        "A mirage is about sharpness over training, not about 50 pairs "
        "against none.",
    ),
    "majority_first": (
        "rise_at_floor",
        "Passing the floor is not 'majority fitted': its accuracy is. A "
        "control without a majority tests the cause.",
    ),
    "table_1": ("table_1", "Seeds are counted, all three mappings together."),
    "table_1_composition": ("", "Section 3.2 had no control."),
    "memorised_text": ("memorisation", "Two statements were one."),
    "memorised_answers": ("memorisation", "Two statements were one."),
    "proposition_4": (
        "proposition_4",
        "A memoriser of words stands beside that of sentences.",
    ),
    "percent_65": (
        "percent_65",
        "An interval must lie within 10 points, not just hold 65 %.",
    ),
    "epoch_40_rise": ("epoch_40", "The rise and its epoch are two statements."),
    "epoch_40_loss": ("epoch_40", "The rise and its epoch are two statements."),
    "suppressed": ("", "A finding of ours, tested."),
    "hinders": ("", "A finding of ours, tested."),
}
COUNTED = "Seeds are counted, since they form two groups."
THEORY_CHANGES = {
    "prop_1_order": (
        "prop_1_order",
        "Order and cause are two questions. The cause is the count.",
    ),
    "prop_1_balance": (
        "prop_1_balance",
        "Each loss is compared above its own floor: 0.121 of 0.208 nats were "
        "irreducible.",
    ),
    "prop_1_gradient": (
        "prop_1_gradient",
        "To gain and to lead are two questions.",
    ),
    "prop_1_printed_loss": (
        "prop_1_printed_loss",
        "The gradient alone; to dominate is a factor of two.",
    ),
    "prop_1_sgd": ("", "It had no test: the proof has no Adam."),
    "assumption_1": (
        "assumption_1",
        "Contexts as target languages, and as mappings, are two questions. "
        + COUNTED,
    ),
    "assumption_1_bayes": ("assumption_1_bayes", COUNTED),
    "proposition_2_prior": (
        "proposition_2_prior",
        "That counts matter, and that a mapping weighs as its share, are two "
        "questions.",
    ),
    "proposition_3": (
        "proposition_3",
        "The joint reading is observed, the printed equation is the cause. "
        + COUNTED,
    ),
    "prompt_design": ("", "It had no test."),
    "assumption_2_samples": (
        "assumption_2_samples",
        "Equal shares of the text: before, 1 % was compared with 100 %.",
    ),
    "assumption_2_parts": ("assumption_2_parts", COUNTED),
    "prop_4_sample_size": (
        "prop_4_sample_size",
        "The exact count and the printed bound are two questions.",
    ),
    "lemma_1": ("lemma_1", "Small and linear are two questions."),
    "lemma_1_softmax": ("lemma_1_softmax", "As before."),
    "lemma_2": (
        "lemma_2",
        "The equation, and whether right B words fit it better, are two "
        "questions.",
    ),
    "lemma_2_delta": (
        "lemma_2_delta",
        "One vector for all words, and whether it does anything, are two "
        "questions. " + COUNTED,
    ),
    "assumption_2_pivot": (
        "assumption_2_pivot",
        "To be readable and to be used are two questions; both controls must "
        "agree.",
    ),
    "assumption_2_layers": (
        "assumption_2_layers",
        "Alike, not shared: networks trained apart are alike, too.",
    ),
}


@dataclass(frozen=True)
class Table:
    """A table of verdicts.

    Attributes:
        about: what it is about, in words.
        family: family of the claims of the paper, which are counted.
        changes: earlier name and reason of each claim, in its order.
        earlier: folders of the earlier ledgers.
    """

    about: str
    family: str
    changes: Mapping[str, tuple[str, str]]
    earlier: tuple[str, str]


TABLES = {
    "claims.md": Table(
        "Section 3",
        "section_3",
        CHANGES,
        ("reproduce_quick", "reproduce_quick_fresh"),
    ),
    "theory.md": Table(
        "Section 2",
        "section_2",
        THEORY_CHANGES,
        ("theory", "theory_fresh"),
    ),
}


def read_ledger(name: str) -> dict[str, dict[str, Any]]:
    """Returns the claims of a committed ledger, by name; empty if none."""
    path = DOCS / "runs" / name / "claims.json"
    if not path.exists():
        return {}
    return {c["name"]: c for c in json.loads(path.read_text())["claims"]}


def verdict(claim: dict[str, Any] | None) -> str:
    """Returns a verdict in words; a dash if its runs are not there."""
    if claim is None or lacks_runs(claim):
        return "—"
    return verdict_in_words(claim)


def write_ledger(
    changes: Mapping[str, tuple[str, str]],
    kept: dict,
    seen: dict,
    earlier: list[dict],
) -> str:
    """Writes the table.

    Args:
        changes: earlier name and reason of each claim.
        kept: claims judged on the seeds that were kept for them, by name.
        seen: claims judged on seeds that were seen before.
        earlier: claims of the earlier ledgers.
    """
    rows = [
        [
            "claim",
            "paper",
            "seeds 200 to 219",
            "effect",
            "seeds seen before",
            "earlier rules, seeds 0 to 9 / 100 to 109",
            "what changed",
        ],
        ["---"] * 7,
    ]
    for name, (before, why) in changes.items():
        claim = kept.get(name) or seen[name]
        is_there = name in kept and not lacks_runs(kept[name])
        shown = decisive(claim) if is_there else []
        effects = ["; ".join(f"{e['name']}: {format_effect(e)}" for e in shown)]
        old = [each[before]["verdict"] for each in earlier if before]
        source = claim["source"].removeprefix("Sinha 2024, ")
        rows.append(
            [
                claim["title"],
                source.replace("tiny_gpt, docs/anti_composition.md", "ours"),
                verdict(kept.get(name)),
                effects[0] or "—",
                verdict(seen.get(name)),
                " / ".join(dict.fromkeys(old)) or "—",
                why,
            ]
        )
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return lines.replace("->", " → ").replace("\u00a0", " ")


def count(about: str, claims: Sequence[dict[str, Any]]) -> str:
    """Returns how many claims of a table have which verdict, in words."""
    found = [claim for claim in claims if not lacks_runs(claim)]
    parts = []
    for part, outcomes in (
        ("observation", OBSERVATIONS),
        ("explanation", EXPLANATIONS),
    ):
        numbers = Counter(c[part] for c in found if c[part] is not None)
        listed = [f"{numbers[o]} {o}" for o in outcomes if numbers[o]]
        parts.append(f"{part}s: {', '.join(listed)}".capitalize())
    waiting = len(claims) - len(found)
    number = f"{len(claims)} claims"
    if waiting:
        number += f", of which {waiting} wait{'s' * (waiting == 1)} for runs"
    return f"{about}, on seeds 200 to 219: {number}. {parts[0]}. {parts[1]}.\n"


def write_table(table: Table) -> str:
    """Returns a table from the committed ledgers."""
    kept = read_ledger("verdicts")
    rows = write_ledger(
        table.changes,
        kept,
        read_ledger("exploratory"),
        [read_ledger(name) for name in table.earlier],
    )
    claims = [c for c in kept.values() if c["family"] == table.family]
    return f"{count(table.about, claims)}\n{rows}"


def filled(path: Path) -> str:
    """Returns the text of a page with today's table."""
    before, _, rest = path.read_text().partition(START)
    table = write_table(TABLES[path.name])
    return f"{before}{START}\n\n{table}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for name in TABLES:
        write_text(DOCS / name, filled(DOCS / name))
