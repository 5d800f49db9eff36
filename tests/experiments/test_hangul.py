"""Rules of Hangul read the runs that the study makes."""

import pandas as pd
import pytest

from experiments.claims.hangul import CLAIMS, FAMILY
from experiments.hangul import CONDITIONS, NAME, STUDY, without_a_to_c
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.metrics.columns import COLUMNS

SEEDS = (1000, 1001, 1002)


def evidence(values):
    """Returns evidence of accuracies and errors by kind of condition."""
    rows = [
        {
            "experiment": NAME,
            "condition": f"{name}_{kind}",
            "seed": seed,
            "epoch": 23,
            "step": 575,
            "mapping": "A->C",
            "tier": "unseen_words",
            "prompt": "2_demonstrations",
            "metric": metric,
            # Seeds differ by other steps in other conditions.
            "value": value + 1e-4 * len(kind) * (seed - 1001),
        }
        for name in ("gpt", "gru")
        for (kind, metric), value in values.items()
        for seed in SEEDS
    ]
    frame = pd.DataFrame(rows)[list(COLUMNS)]
    return Evidence(frame, SEEDS, None, pd.DataFrame(), FAMILY.interval_level)


def verdicts(real, scrambled, no_route):
    accuracies = {"real": real, "scrambled": scrambled, "no_route": no_route}
    found = evidence(
        {(k, "accuracy_aligned"): v for k, v in accuracies.items()}
        | {
            ("scrambled", "error_composed_word"): 0.1,
            ("scrambled", "error_other_target_word"): 0.2,
        }
    )
    return {
        c.name: (c.decide(found).observation, c.decide(found).explanation)
        for c in CLAIMS
    }


@pytest.mark.parametrize(
    ("accuracies", "composition", "reuse"),
    [
        ((0.9, 0.5, 0.5), ("confirmed", "supported"), "confirmed"),
        ((0.5, 0.9, 0.9), ("confirmed", "contradicted"), "confirmed"),
        # As good without a route: composing is not what is needed.
        ((0.9, 0.5, 0.9), ("confirmed", "not needed"), "confirmed"),
        ((0.9, 0.17, 0.17), ("confirmed", "supported"), "not confirmed"),
        ((0.17, 0.17, 0.17), ("not confirmed", "undecided"), "not confirmed"),
        # Ten points above a guess is the limit.
        ((0.2667, 0.2667, 0.1), ("undecided", "undecided"), "undecided"),
    ],
)
def test_verdicts_of_clear_cases(accuracies, composition, reuse):
    found = verdicts(*accuracies)
    for name in ("gpt", "gru"):
        assert found[f"{name}_composition"] == composition
        assert found[f"{name}_reuse"][0] == reuse


def test_composed_letters_count_beyond_the_other_wrong_ones():
    # 0.1 composed; of five wrong letters the other four have 0.2 / 4 each.
    claim = next(c for c in CLAIMS if c.name == "gpt_composition")
    shown = next(m for m in claim.shown if "composed letter" in m.name)
    found = evidence(
        {
            ("scrambled", "error_composed_word"): 0.1,
            ("scrambled", "error_other_target_word"): 0.2,
        }
    )
    assert shown.values(found)[1001] == pytest.approx(0.1 - 0.2 / 4)


def test_claims_read_conditions_of_the_study():
    assert FAMILY.ordered(CLAIMS) == CLAIMS
    places = {place for claim in CLAIMS for place in claim.conditions}
    assert places <= {f"{NAME}/{condition}" for condition in CONDITIONS}


def test_conditions_change_what_they_say():
    tasks = {k: STUDY.build("quick", f"gpt_{k}").task for k in STUDY_KINDS}
    assert {k for k, task in tasks.items() if task.is_scrambled} == {
        "scrambled"
    }
    assert {k: " ".join(task.majority) for k, task in tasks.items()} == {
        "real": "A->B B->C",
        "scrambled": "A->B B->C",
        "no_route": "A->B E->C",
        "unrelated": "D->E E->F",
        "alone": "",
        "bridge": "A->B B->C B->B",
    }
    assert {task.num_sparse for task in tasks.values()} == {360}


STUDY_KINDS = [
    name.removeprefix("gpt_") for name in CONDITIONS if name.startswith("gpt_")
]


@pytest.mark.parametrize("name", ["gpt", "gru"])
def test_no_choice_reads_or_asks_a_to_c(name):
    experiment = without_a_to_c(name)
    assert experiment.task.eval_mappings == ("A->B", "B->C")
