"""The protocol of confirmatory runs: its page, its rules, its seeds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_gpt.claims.claim import Claim, Family
from tiny_gpt.claims.measure import CONSTANT, SHARE, Measure
from tiny_gpt.report.typeset import format_number
from tiny_gpt.runtime.commits import UNKNOWN, last_commit

START, END = "<!-- rules: begin -->", "<!-- rules: end -->"


@dataclass(frozen=True)
class SeedBlock:
    """Seeds that are kept for one protocol.

    Attributes:
        first: first seed.
        last: last seed.
        purpose: what they decide.
        page: the committed protocol, relative to the checkout; empty if it is
            not written yet.
    """

    first: int
    last: int
    purpose: str
    page: str = ""

    def holds(self, seed: int) -> bool:
        """Tells whether a seed belongs to it."""
        return self.first <= seed <= self.last


def hashes_of(families: Mapping[Family, Sequence[Claim]]) -> dict[str, str]:
    """Returns the hash of the rules of each claim (`Claim.hash`), by name."""
    return {c.name: c.hash for claims in families.values() for c in claims}


def check_seeds(
    seeds: Sequence[int],
    blocks: Sequence[SeedBlock],
    root: Path,
    hashes: Mapping[str, str],
) -> None:
    """Checks that reserved seeds are used by their protocol.

    Args:
        seeds: seeds that are to be trained.
        blocks: the reserved seeds.
        root: folder of the checkout.
        hashes: hash of the rules of each claim, by name.

    Raises:
        ValueError: if a seed is reserved, and its protocol is not written,
            not committed, changed since, or names other rules.
    """
    for block in blocks:
        asked = sorted(seed for seed in seeds if block.holds(seed))
        if asked:
            _check_block(block, asked, root, hashes)


def _check_block(
    block: SeedBlock, asked: list[int], root: Path, hashes: Mapping[str, str]
) -> None:
    where = f"seeds {asked[0]} to {asked[-1]}"
    rule = (
        f"Seeds {block.first} to {block.last} are kept for {block.purpose} "
        "(docs/seeds.md). They are run once, after the protocol that names "
        "them is committed; choose seeds from 1000 on for all else."
    )
    if not block.page:
        raise ValueError(f"{rule} Received: {where}, without a protocol so far")
    commit = last_commit(root / block.page)
    if commit.startswith(UNKNOWN) or commit.endswith("-dirty"):
        state = "not committed" if commit.startswith(UNKNOWN) else "changed"
        raise ValueError(f"{rule} Received: {where}, with {block.page} {state}")
    listed = read_hashes((root / block.page).read_text())
    changed = sorted(
        name for name in listed if hashes.get(name) != listed[name]
    )
    if changed:
        raise ValueError(
            f"{rule} Received: {where}, with rules that {block.page} does not "
            f"have: {', '.join(changed)}"
        )


def read_hashes(page: str) -> dict[str, str]:
    """Returns the hashes that a page lists, by claim: `name` · `hash`."""
    found = re.findall(r"^`(\w+)` · rules `([0-9a-f]{16})`$", page, re.M)
    return dict(found)


def protocol_of(
    page: Path, claims: Iterable[Claim], seeds: Sequence[int]
) -> dict[str, Any]:
    """Returns what a manifest keeps of the protocol.

    Args:
        page: the page.
        claims: claims that are decided.
        seeds: seeds that decide them.

    Returns:
        Page, commit, and the hash of each claim's rules.
    """
    claims = list(claims)
    return {
        "page": page.name,
        "commit": last_commit(page),
        "kind": kind_of(claims, seeds),
        "rules": {claim.name: claim.hash for claim in claims},
    }


def kind_of(claims: Sequence[Claim], seeds: Sequence[int]) -> str:
    """Returns "confirmatory" if every seed was kept for every claim."""
    blocks = {claim.family.seeds for claim in claims}
    is_kept = bool(blocks) and all(
        block is not None and all(block[0] <= s <= block[1] for s in seeds)
        for block in blocks
    )
    return "confirmatory" if is_kept else "exploratory"


def write_rules(families: Mapping[Family, Sequence[Claim]]) -> str:
    """Writes the rules of all families as Markdown, for the page."""
    parts = []
    for family, claims in families.items():
        seeds = "none reserved"
        if family.seeds is not None:
            seeds = f"{family.seeds[0]} to {family.seeds[1]}"
        parts.append(
            f"## {family.title}\n\n"
            f"Family `{family.name}`: {len(claims)} claims, "
            f"{family.num_intervals} intervals, together at "
            f"{100 * family.level:g} %, so each at "
            f"{100 * family.interval_level:.2f} %. Seeds: {seeds}.\n"
        )
        parts += [_write_claim(claim) for claim in claims]
    return "\n".join(parts)


def _write_claim(claim: Claim) -> str:
    rules = [
        f"- **{part.capitalize()}**: {text}."
        for part, text in claim.rules.items()
    ]
    if claim.cause:
        rules.insert(1, f"- **Explanation under test**: {claim.cause}")
    numbers = [f"- [{m.name}]: {_describe(m)}" for m in claim.measures]
    runs = ", ".join(f"`{place}`" for place in claim.conditions) or "none"
    lines = [
        f"### {claim.title}",
        "",
        f"`{claim.name}` · rules `{claim.hash}`",
        "",
        f"> {claim.statement} ({claim.source})",
        "",
        f"- **Runs**: {runs}.",
        f"- **Measured**: {claim.statistic.rstrip('.')}.",
        *numbers,
        *rules,
        f"- **Why these limits**: {claim.margin}",
        f"- **Seen before**: {claim.seen}",
        "",
    ]
    return "\n".join(lines).replace("->", " → ")


def _describe(measure: Measure) -> str:
    if measure.kind == CONSTANT:
        return "a number without an interval"
    if measure.kind == SHARE:
        limit = measure.above if measure.above is not None else measure.below
        side = ">" if measure.above is not None else "<"
        return (
            f"probability that a seed has a value {side} "
            f"{format_number(limit)}, exact binomial interval"
        )
    if measure.kind == "ratio":
        return "geometric mean over seeds, Student's t on logarithms"
    return "mean over seeds, Student's t"


def fill_rules(page: str, rules: str) -> str:
    """Returns a page with its rules in place.

    Raises:
        ValueError: if the page has no place for them.
    """
    if START not in page or END not in page:
        raise ValueError(
            f"The page of a protocol has {START!r} and {END!r}. "
            "Received: a page without"
        )
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{rules}\n{END}{after}"
