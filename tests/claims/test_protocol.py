"""Tests for tiny_gpt/claims/protocol.py and the page of the protocol."""

import dataclasses
import subprocess

import pandas as pd
import pytest

from benchmarks.pages.protocol_rules import filled, write_power
from experiments.reproduction import REPRODUCTION
from experiments.seeds import BLOCKS
from tiny_gpt.claims import protocol
from tiny_gpt.claims.measure import share
from tiny_gpt.claims.protocol import (
    SeedBlock,
    check_seeds,
    fill_rules,
    hashes_of,
    kind_of,
    read_hashes,
    write_rules,
)
from tiny_gpt.claims.rule import CONFIRMED, above, case, observed

PAGE = REPRODUCTION.page.read_text()
CLAIMS = REPRODUCTION.families[REPRODUCTION.family]
FIG_2C = next(claim for claim in CLAIMS if claim.name == "fig_2c")
BLOCK = SeedBlock(200, 219, "the verdicts", "docs/protocol.md")


def test_the_page_has_the_rules_of_the_code():
    assert filled(PAGE) == PAGE
    assert read_hashes(PAGE) == hashes_of(REPRODUCTION.families)


def test_each_block_is_on_the_page_of_seeds():
    page = (REPRODUCTION.page.parent / "seeds.md").read_text()
    for block in BLOCKS:
        row = next(
            line
            for line in page.splitlines()
            if line.startswith(f"| {block.first} to {block.last} |")
        )
        name = block.page.removeprefix("docs/")
        assert f"| {block.purpose} |" in row
        assert (f"({name})" if name else "not written yet") in row
    for family in REPRODUCTION.families:
        assert family.seeds == (BLOCKS[0].first, BLOCKS[0].last)


def changed(**fields):
    return dataclasses.replace(FIG_2C, **fields)


def another_limit():
    (measure,) = FIG_2C.measures
    return changed(
        observation=observed(case(CONFIRMED, above(measure.name, 0.4)))
    )


def another_threshold():
    (measure,) = FIG_2C.measures
    return changed(measures=(share(measure.name, measure.values, above=0.6),))


def another_family(**fields):
    return changed(family=dataclasses.replace(FIG_2C.family, **fields))


@pytest.mark.parametrize(
    "other",
    [
        another_limit(),
        another_threshold(),
        another_family(seeds=(0, 19)),
        another_family(num_intervals=99),
        changed(margin="Because."),
        changed(conditions=("controls/sparse_a_to_c",)),
    ],
    ids=["limit", "threshold", "seeds", "intervals", "margin", "runs"],
)
def test_a_hash_knows_what_a_rule_depends_on(other):
    assert other.hash != FIG_2C.hash


def test_a_hash_does_not_know_titles_or_names_of_files():
    assert changed(title="Enough").hash == FIG_2C.hash
    assert len(FIG_2C.hash) == 16


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Returns a checkout with a committed protocol of one claim."""

    def git(*arguments):
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(
            ["git", "-C", str(tmp_path), *who, *arguments],
            check=True,
            capture_output=True,
        )

    git("init")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "protocol.md"
    page.write_text("`learned` · rules `0123456789abcdef`\n")
    git("add", ".")
    git("commit", "-m", "Rules")
    return tmp_path


RULES = {"learned": "0123456789abcdef", "other": "f" * 16}


def test_reserved_seeds_need_their_committed_protocol(checkout):
    check_seeds([200, 205], [BLOCK], checkout, RULES)
    page = checkout / "docs" / "protocol.md"
    with pytest.raises(ValueError, match="does not have: learned"):
        check_seeds([200], [BLOCK], checkout, {"learned": "f" * 16})
    page.write_text(page.read_text() + "One more.\n")
    with pytest.raises(ValueError, match=r"seeds 200 to 205.*changed"):
        check_seeds([200, 205], [BLOCK], checkout, RULES)
    check_seeds([199, 220, 1000], [BLOCK], checkout, {})


def test_a_protocol_that_is_not_written_or_committed_allows_nothing(checkout):
    (checkout / "docs" / "new.md").write_text("Rules")
    uncommitted = dataclasses.replace(BLOCK, page="docs/new.md")
    with pytest.raises(ValueError, match="not committed"):
        check_seeds([219], [uncommitted], checkout, RULES)
    with pytest.raises(ValueError, match="without a protocol so far"):
        check_seeds(
            [219], [dataclasses.replace(BLOCK, page="")], checkout, RULES
        )


def test_seeds_are_confirmatory_if_all_were_kept_for_all_claims():
    assert kind_of(CLAIMS, range(200, 220)) == "confirmatory"
    assert kind_of(CLAIMS, range(199, 219)) == "exploratory"
    assert kind_of([another_family(seeds=None)], [200]) == "exploratory"
    assert kind_of([], [200]) == "exploratory"


def test_rules_have_a_place_in_the_page():
    page = f"Before.\n\n{protocol.START}\nold\n{protocol.END}\n\nAfter.\n"
    found = fill_rules(page, "new\n")
    assert found == (
        f"Before.\n\n{protocol.START}\n\nnew\n\n{protocol.END}\n\nAfter.\n"
    )
    with pytest.raises(ValueError, match="a page without"):
        fill_rules("Rules", "new")


def test_every_rule_is_written_with_its_limits_and_what_was_seen():
    text = write_rules({REPRODUCTION.family: CLAIMS})
    for claim in CLAIMS:
        assert f"`{claim.name}` · rules `{claim.hash}`" in text
        assert claim.margin.replace("->", " → ") in text
        assert claim.seen in text
    assert "probability that a seed has a value > 0.5" in text


def test_what_is_not_decidable_is_listed():
    table = pd.DataFrame(
        [
            ("a", "confirmed", "x = 1", 0.79),
            ("b", "supported", "y = 2", 0.8),
            ("c", "supported", "z = 2", float("nan")),
        ],
        columns=["claim", "outcome", "truth", "power"],
    )
    lines = write_power(table).splitlines()
    assert lines[2:] == [
        "| `a` | confirmed | x = 1 | 79.0 % |",
        "| `c` | supported | z = 2 | not simulated |",
    ]
