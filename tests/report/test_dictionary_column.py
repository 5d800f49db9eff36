"""The page shows the dictionary of words where a ledger has one."""

import copy

from tests.helpers.scripted_report import scripted_report
from tiny_gpt.report.page import render_report


def test_the_dictionary_has_a_column_if_there_is_one():
    scripted = scripted_report()
    old = copy.deepcopy(scripted)
    for condition in old["ledger"]["conditions"]:
        condition.pop("dictionary", None)
    new = copy.deepcopy(old)
    for condition in new["ledger"]["conditions"]:
        condition["dictionary"] = {"A->B": 1.0, "A->C": 0.987}
    old, new = render_report(**old), render_report(**new)
    heading = '<th scope="col">Dictionary</th>'
    conditions = len(scripted["ledger"]["conditions"])
    assert heading not in old
    assert new.count(heading) == conditions
    assert "98.7 %" not in old.replace("\u00a0", " ")
    shown = new.replace("\u00a0", " ").count("98.7 %")
    assert shown >= conditions
