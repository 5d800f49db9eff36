"""The protocol of confirmatory runs: its page, its rules, its seeds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_gpt.claims.claim import Claim, Family
from tiny_gpt.claims.measure import CONSTANT, MEDIAN, RATIO, SHARE, Measure
from tiny_gpt.report.typeset import format_number
from tiny_gpt.runtime.commits import UNKNOWN, last_commit

START, END = "<!-- rules: begin -->", "<!-- rules: end -->"
CONFIRMATORY, EXPLORATORY = "confirmatory", "exploratory"


@dataclass(frozen=True)
class SeedBlock:
    """Seeds that are kept for one protocol.

    Attributes:
        first: first seed.
        last: last seed.
        purpose: what they decide.
        page: the committed protocol, relative to the checkout; empty if it is
            not written yet.
        studies: names of the experiments that may use them.
        preset: the preset in which they may be used.
        has_rules: whether the page lists the hashes of all rules.
    """

    first: int
    last: int
    purpose: str
    page: str = ""
    studies: tuple[str, ...] = ()
    preset: str = "quick"
    has_rules: bool = True

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
    study: str,
    preset: str,
) -> None:
    """Checks that reserved seeds are used by their protocol.

    Args:
        seeds: seeds that are to be trained.
        blocks: the reserved seeds.
        root: folder of the checkout.
        hashes: hash of the rules of each claim, by name.
        study: the experiment that is to use them.
        preset: its preset.

    Raises:
        ValueError: if a seed is reserved for another experiment, or its
            protocol is not written, not committed, changed since, or has
            other rules.
    """
    for block in blocks:
        asked = sorted(seed for seed in seeds if block.holds(seed))
        if not asked:
            continue
        fault = _fault_of(block, root, hashes, study, preset)
        if fault:
            raise ValueError(
                f"Seeds {block.first} to {block.last} are kept for "
                f"{block.purpose} (docs/seeds.md). They are run once, after "
                "the protocol that names them is committed; choose seeds from "
                "1000 on for all else. Received: seeds "
                f"{asked[0]} to {asked[-1]} of {study!r}, {fault}"
            )


def _fault_of(
    block: SeedBlock,
    root: Path,
    hashes: Mapping[str, str],
    study: str,
    preset: str,
) -> str:
    """Returns why a block may not be used; empty if it may."""
    if not block.page:
        return "without a protocol so far"
    if study not in block.studies or preset != block.preset:
        return (
            f"preset {preset!r}; {block.page} is about "
            f"{', '.join(block.studies)}, preset {block.preset!r}"
        )
    commit = last_commit(root / block.page)
    if commit.startswith(UNKNOWN):
        return f"with {block.page} not committed"
    if commit.endswith("-dirty"):
        return f"with {block.page} changed"
    if not block.has_rules:
        return ""
    changed = differing(root / block.page, hashes)
    if not changed:
        return ""
    listed = ", ".join(changed)
    return f"with rules that {block.page} does not have: {listed}"


def differing(page: Path, hashes: Mapping[str, str]) -> list[str]:
    """Returns claims whose rules differ from those of a page, or are missing.

    Args:
        page: the page of a protocol.
        hashes: hash of the rules of each claim of the code, by name.
    """
    listed = read_hashes(page.read_text()) if page.exists() else {}
    names = set(listed) | set(hashes)
    return sorted(n for n in names if listed.get(n) != hashes.get(n))


def read_hashes(page: str) -> dict[str, str]:
    """Returns the hashes that a page lists, by claim: `name` · `hash`."""
    found = re.findall(r"^`(\w+)` · rules `([0-9a-f]{16})`$", page, re.M)
    return dict(found)


def protocol_of(
    page: Path,
    rules: Path,
    families: Mapping[Family, Sequence[Claim]],
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Returns what a manifest keeps of the protocol.

    Args:
        page: the page.
        rules: folder of the rules, whose code computes the measures.
        families: all claims of the protocol.
        seeds: seeds that decide them.

    Returns:
        Page, its commit and that of the code, whether the seeds are
        confirmatory, and the hash of each claim's rules.
    """
    hashes = hashes_of(families)
    commit = last_commit(page)
    is_kept = commit[-6:] != "-dirty" and not commit.startswith(UNKNOWN)
    is_kept &= not differing(page, hashes)
    return {
        "page": page.name,
        "commit": commit,
        "code_commit": last_commit(rules),
        "kind": kind_of(families, seeds) if is_kept else EXPLORATORY,
        "rules": hashes,
    }


def kind_of(families: Iterable[Family], seeds: Sequence[int]) -> str:
    """Returns "confirmatory" if the seeds are all that were kept for them."""
    kept = {family.seeds for family in families}
    is_whole = bool(kept) and all(
        block is not None and set(seeds) == set(range(block[0], block[1] + 1))
        for block in kept
    )
    return CONFIRMATORY if is_whole else EXPLORATORY


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
    if measure.kind == MEDIAN:
        return "median over seeds, sign test"
    if measure.kind == RATIO:
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
