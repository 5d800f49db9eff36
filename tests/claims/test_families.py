"""Tests for families of claims in tiny_gpt/claims/claim.py."""

import dataclasses
import importlib
import sys

import pytest

from experiments.claims.section_3.figures import CLAIMS
from tiny_gpt.claims.claim import Family, find_families

TWO = CLAIMS[:2]
FAMILY = Family(
    name="two",
    claims=(TWO[1].name, TWO[0].name),
    num_intervals=sum(claim.num_intervals for claim in TWO),
)


def test_claims_stand_in_the_order_of_their_family():
    assert FAMILY.ordered(TWO) == (TWO[1], TWO[0])


def test_intervals_hold_together():
    # Bonferroni: 1 - 0.05 / 5 for five intervals.
    family = dataclasses.replace(FAMILY, num_intervals=5)
    assert family.interval_level == pytest.approx(0.99, rel=1e-12)


@pytest.mark.parametrize(
    "claims",
    [
        TWO[:1],
        CLAIMS[:3],
        (*TWO, TWO[0]),
        (TWO[0], dataclasses.replace(CLAIMS[2], name=TWO[1].name)),
    ],
)
def test_a_family_is_fixed(claims):
    with pytest.raises(ValueError, match="'two' is fixed to 2 claims"):
        FAMILY.ordered(claims)


def test_a_claim_in_one_new_file_is_found(tmp_path, monkeypatch):
    package = tmp_path / "rules_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "new.py").write_text(
        "import dataclasses\n"
        "from tests.claims.test_families import TWO, Family\n"
        "FAMILY = Family('new', ('mine',), 3)\n"
        "CLAIMS = (dataclasses.replace(TWO[0], family=FAMILY, name='mine'),)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    ((family, (claim,)),) = find_families(
        importlib.import_module("rules_of_mine")
    ).items()
    assert (family.name, claim.name) == ("new", "mine")
    assert family.interval_level == pytest.approx(1 - 0.05 / 3)
    for name in ("rules_of_mine", "rules_of_mine.new"):
        sys.modules.pop(name)
