"""Tests for tiny_gpt/report/schema.py."""

import pytest

from tests.helpers.scripted_report import scripted_report
from tiny_gpt.report.schema import check_ledger


def test_a_scripted_ledger_passes():
    check_ledger(scripted_report()["ledger"])


def test_a_ledger_is_a_dictionary():
    with pytest.raises(ValueError, match="Received: format=\\[\\]"):
        check_ledger([])


@pytest.mark.parametrize(
    ("place", "key", "value", "message"),
    [
        ((), "format", 1, "Received: format=1"),
        ((), "missing", None, r"the ledger.*no \['missing'\]"),
        (("claims", 0), "rules", None, r"claim 'claim_0'.*no \['rules'\]"),
        (("claims", 0), "observation", "perhaps", "observation='perhaps'"),
        (("claims", 0), "explanation", "perhaps", "explanation='perhaps'"),
        (("families", 0), "title", None, r"family 'section_3'.*\['title'\]"),
        (("claims", 0), "name", "a b", "Received: name='a b'"),
        (("claims", 0), "name", "claim_1", "'claim_1' twice"),
        (("claims", 1, "effects", 0), "unit", "cm", "Received: unit='cm'"),
        (("claims", 1, "effects", 0), "low", None, r"an effect.*no \['low'\]"),
        (("claims", 1, "figure"), "kind", "pie", "Received: kind='pie'"),
        (("claims", 1, "figure", "groups", 0), "mean", None, r"no \['mean'\]"),
        (("claims", 2, "figure", "series", 0), "mean", [1], "'mean': 1"),
        (("conditions", 0), "floor", None, r"'sparse_a_to_c'.*no \['floor'\]"),
        (("conditions", 0), "condition", "unrun", "'triangle/unrun' twice"),
    ],
)
def test_the_rule_that_is_broken_is_named(place, key, value, message):
    ledger = item = scripted_report()["ledger"]
    for step in place:
        item = item[step]
    if value is None:
        del item[key]
    else:
        item[key] = value
    with pytest.raises(ValueError, match=message):
        check_ledger(ledger)


def test_seeds_over_epochs_are_joined_and_must_be_as_many_everywhere():
    ledger = scripted_report()["ledger"]
    for claim in ledger["claims"][2:4]:
        claim["figure"]["series"][0]["values"] = [[0.2], [0.6, 0.8]]
    ledger["claims"][3]["figure"], kept = None, ledger["claims"][3]["figure"]
    check_ledger(ledger)  # the dots of a curve need not
    ledger["claims"][3]["figure"] = kept
    with pytest.raises(ValueError, match=r"seeds per x=\[1, 2\] in claim"):
        check_ledger(ledger)
