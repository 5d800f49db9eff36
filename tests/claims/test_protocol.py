"""Tests for tiny_gpt/claims/protocol.py and the page of the protocol."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.pages.protocol_rules import POWER, filled, write_power
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
    protocol_of,
    read_hashes,
    write_rules,
)
from tiny_gpt.claims.rule import CONFIRMED, above, case, observed
from tiny_gpt.claims.values import MOST
from tiny_gpt.commands.reserved import check_reserved, protocol_used

CLAIMS = REPRODUCTION.families[REPRODUCTION.family]
# Of one seed of the published size there is no spread.
NO_SCENARIO = {"percent_65"}
# Decided by numbers that no seed changes.
SETTLED = {
    "mirage": {"contradicted", "supported"},
    "proposition_3": {"contradicted", "supported"},
}
FIG_2C = next(claim for claim in CLAIMS if claim.name == "fig_2c")
BLOCK = SeedBlock(200, 219, "the verdicts", "docs/protocol.md", ("triangle",))


def test_the_page_has_the_rules_of_the_code():
    for path in POWER:
        page, families = path.read_text(), REPRODUCTION.families_of(path)
        assert filled(path) == page
        assert families
        assert read_hashes(page) == hashes_of(families)


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
        assert (f"({name})" if name else " yet |") in row
    for family in REPRODUCTION.families:
        assert family.seeds == (BLOCKS[0].first, BLOCKS[0].last)


def changed(**fields):
    return dataclasses.replace(FIG_2C, **fields)


def another_limit():
    (measure,) = FIG_2C.measures
    return changed(
        observation=observed(case(CONFIRMED, above(measure.name, 0.4)))
    )


def nearly_the_same_limit():
    """Differs in a digit that no page shows."""
    (measure,) = FIG_2C.measures
    first, *others = FIG_2C.observation.cases
    limit = MOST + 1e-9
    new = case(first.outcome, above(measure.name, limit))
    return changed(observation=observed(new, *others))


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
        changed(statement="Something else."),
        changed(cause="It composes."),
        nearly_the_same_limit(),
    ],
    ids=[
        *("limit", "threshold", "seeds", "intervals", "margin", "runs"),
        *("statement", "cause", "digits"),
    ],
)
def test_a_hash_knows_what_a_rule_depends_on(other):
    assert other.hash != FIG_2C.hash


def test_a_hash_does_not_know_titles_or_names_of_files():
    assert changed(title="Enough").hash == FIG_2C.hash
    assert len(FIG_2C.hash) == 16


def git(folder, *arguments):
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(
        ["git", "-C", str(folder), *who, *arguments],
        check=True,
        capture_output=True,
    )


def commit(folder):
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Rules")


@pytest.fixture
def checkout(tmp_path):
    """Returns a checkout with a committed protocol of one claim."""
    if shutil.which("git") is None:
        pytest.skip("needs git")

    git(tmp_path, "init")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "protocol.md"
    page.write_text("`learned` · rules `0123456789abcdef`\n")
    commit(tmp_path)
    return tmp_path


RULES = {"learned": "0123456789abcdef"}


@pytest.fixture
def check(checkout):
    """Returns the check of seeds in that checkout."""

    def checked(seeds, block=BLOCK, hashes=RULES, study="triangle"):
        check_seeds(seeds, [block], checkout, hashes, study, "quick")

    return checked


def test_reserved_seeds_are_those_of_some_experiments(checkout, check):
    with pytest.raises(ValueError, match=r"of 'ring'.*about triangle"):
        check([200], study="ring")
    with pytest.raises(ValueError, match=r"preset 'quick'.*preset 'paper'"):
        check([200], dataclasses.replace(BLOCK, preset="paper"))


def test_a_page_without_rules_allows_nothing_unless_it_needs_none(
    checkout, check
):
    (checkout / "docs" / "protocol.md").write_text("No rules.\n")
    commit(checkout)
    with pytest.raises(ValueError, match="does not have: learned"):
        check([200])
    check([200], dataclasses.replace(BLOCK, has_rules=False))


def test_reserved_seeds_need_their_committed_protocol(checkout, check):
    check([200, 205])
    page = checkout / "docs" / "protocol.md"
    with pytest.raises(ValueError, match="does not have: learned"):
        check([200], hashes={"learned": "f" * 16})
    # A claim that the page does not have would be judged without a rule.
    with pytest.raises(ValueError, match="does not have: other"):
        check([200], hashes={**RULES, "other": "f" * 16})
    page.write_text(page.read_text() + "One more.\n")
    with pytest.raises(ValueError, match=r"seeds 200 to 205.*changed"):
        check([200, 205])
    check([199, 220, 1000], hashes={})


def test_a_protocol_that_is_not_written_or_committed_allows_nothing(
    checkout, check
):
    (checkout / "docs" / "new.md").write_text("Rules")
    uncommitted = dataclasses.replace(BLOCK, page="docs/new.md")
    with pytest.raises(ValueError, match="not committed"):
        check([219], uncommitted)
    with pytest.raises(ValueError, match="without a protocol so far"):
        check([219], dataclasses.replace(BLOCK, page=""))


def test_seeds_are_confirmatory_if_they_are_all_that_were_kept():
    families = list(REPRODUCTION.families)
    assert kind_of(families, range(200, 220)) == "confirmatory"
    assert kind_of(families, range(200, 219)) == "exploratory"  # one less
    assert kind_of(families, range(199, 220)) == "exploratory"
    free = dataclasses.replace(REPRODUCTION.family, seeds=None)
    assert kind_of([*families, free], range(200, 220)) == "exploratory"
    assert kind_of([], [200]) == "exploratory"


def test_verdicts_by_other_rules_are_exploratory(checkout):
    families = {REPRODUCTION.family: (FIG_2C,)}
    page = checkout / "docs" / "protocol.md"

    def kind():
        found = protocol_of(page, checkout, families, range(200, 220))
        assert found["rules"] == {"fig_2c": FIG_2C.hash}
        return found["kind"]

    assert kind() == "exploratory"  # the page has another claim
    page.write_text(f"`fig_2c` · rules `{FIG_2C.hash}`\n")
    assert kind() == "exploratory"  # not committed
    commit(checkout)
    assert kind() == "confirmatory"


@pytest.mark.parametrize(
    "folder", [None, Path("examples"), Path("/tmp"), Path("docs")]
)
def test_a_file_elsewhere_does_not_get_kept_seeds(folder, monkeypatch):
    for seed in (200, 220, 300):
        with pytest.raises(ValueError, match="are kept for"):
            check_reserved([seed], "ring", "quick", [folder])
    monkeypatch.chdir("/tmp")
    with pytest.raises(ValueError, match="are kept for"):
        check_reserved([220], "ring", "quick", [folder])
    check_reserved([0, 100, 1000], "ring", "quick", [folder])


def test_manifests_of_kept_seeds_name_their_rules():
    found = protocol_used([200, 201])["protocol"]
    assert found["rules"] == hashes_of(REPRODUCTION.families)
    assert found["page"] == "protocol.md"
    assert found["kind"] == "exploratory"  # two of twenty
    assert protocol_used([0, 1000]) == {}


def test_each_outcome_of_a_rule_on_runs_has_a_scenario():
    for claims in REPRODUCTION.families.values():
        for claim in claims:
            if not claim.num_intervals or claim.name in NO_SCENARIO:
                continue
            outcomes = {
                each.outcome
                for rule in (claim.observation, claim.explanation)
                if rule is not None
                for each in rule.cases
            }
            simulated = {each.outcome for each in claim.scenarios}
            assert outcomes <= simulated | SETTLED.get(claim.name, set()), (
                claim.name
            )


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
