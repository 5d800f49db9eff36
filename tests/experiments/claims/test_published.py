"""Rules of section 3 on published curves, the published size, arithmetic."""

import pandas as pd
import pytest

from tests.helpers.section_3 import BY_NAME, CURVES, evidence_of
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    UNDECIDED,
)
from tiny_gpt.metrics.columns import COLUMNS


def paper_runs(final_accuracy, num_seeds=3, first_seed=300, length=100):
    """Returns runs at the published size, as far as the rules read them."""
    rows = []
    for seed in range(first_seed, first_seed + num_seeds):
        for epoch in range(1, length + 1):
            start = ("triangle", "sparse_a_to_c", seed, epoch, 9 * epoch)
            score = final_accuracy + 0.001 * (seed - first_seed)
            rows.append((*start, "all", "all", "all", "loss", 1 / epoch))
            prompt = "6_demonstrations"
            rows.append(
                (*start, "A->C", "all", prompt, "accuracy_published", score)
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.mark.parametrize(
    ("paper", "observation"),
    [
        (paper_runs(0.65), CONFIRMED),
        (paper_runs(0.40), NOT_CONFIRMED),
        (paper_runs(0.549), UNDECIDED),
        # Seeds that are not kept for the published size do not count.
        (paper_runs(0.65, first_seed=0), UNDECIDED),
        (paper_runs(0.65, num_seeds=1), UNDECIDED),
        (None, UNDECIDED),
    ],
)
def test_the_percentage_is_decided_at_the_published_size(paper, observation):
    evidence = evidence_of("percent_65", {}, paper=paper)
    decision = BY_NAME["percent_65"].decide(evidence)
    assert decision.observation == observation, decision.because


def shifted(condition, metric, epochs, by):
    """Returns the published curves with some values changed."""
    curves = CURVES.copy()
    rows = (
        (curves["condition"] == condition)
        & (curves["metric"] == metric)
        & (curves["epoch"].isin(epochs))
    )
    curves.loc[rows, "value"] += by
    return curves


SPARSE_LOSS = "sparse_a_to_c", "loss"


@pytest.mark.parametrize(
    ("name", "curves", "observation"),
    [
        # The published loss is below 0.6 from epoch 27 on.
        ("epoch_40_loss", CURVES, NOT_CONFIRMED),
        (
            "epoch_40_loss",
            shifted(*SPARSE_LOSS, range(1, 40), 0.3),
            CONFIRMED,
        ),
        (
            "epoch_40_loss",
            shifted(*SPARSE_LOSS, range(1, 60), 0.3),
            NOT_CONFIRMED,
        ),
        # 12.5 % in epochs 31 to 40 of the published curve, 49.5 in 51 to 60.
        ("epoch_40_rise", CURVES, CONFIRMED),
        (
            "epoch_40_rise",
            shifted("sparse_a_to_c", "accuracy", range(51, 61), -0.3),
            NOT_CONFIRMED,
        ),
        # It ends at 0.476 and 0.2547, with floors of 0.533 and 0.665.
        ("memorised_text", CURVES, NOT_CONFIRMED),
        # One text is enough; and no loss shows that there is no memory.
        ("memorised_text", shifted(*SPARSE_LOSS, [100], 0.1), NOT_CONFIRMED),
        (
            "memorised_text",
            pd.concat(
                [
                    shifted(*SPARSE_LOSS, [100], 0.1).query(
                        "condition == 'sparse_a_to_c'"
                    ),
                    shifted("sparse_pairs", "loss", [200], 1.0).query(
                        "condition == 'sparse_pairs'"
                    ),
                ]
            ),
            UNDECIDED,
        ),
    ],
)
def test_published_curves_decide(name, curves, observation):
    evidence = evidence_of(name, {}, curves=curves)
    assert BY_NAME[name].decide(evidence).observation == observation


def test_the_printed_bound_and_what_it_leaves_out():
    evidence = evidence_of("fig_2c", {})
    decision = BY_NAME["proposition_4"].decide(evidence)
    # 2 exp(-10 (0.6 - 50/1680)^2); a list of 8 words is known from 50
    # sentences, so that a memoriser of words scores 100 %.
    assert decision.observation == CONFIRMED
    assert decision.explanation == CONTRADICTED
    printed, words, guesses, exact = (e["value"] for e in decision.effects)
    assert printed == pytest.approx(0.0774, abs=5e-5)
    assert words > 0.999
    # With guesses at 1/8 the baseline is 0.151 and the bound 26.6 %.
    assert guesses == pytest.approx(0.266, abs=5e-4)
    assert exact < printed
