"""Rules of section 3 on scripted frames: each outcome of each claim once."""

import math

import pandas as pd
import pytest

from experiments import triangle
from experiments.claims.section_3.drops import drops, steepest
from experiments.claims.section_3.scores import width_of_rise
from experiments.reproduction import REPRODUCTION
from tests.helpers.scripted_runs import scripted_metrics
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.claim import LEVEL, decide_all
from tiny_gpt.claims.evidence import (
    Evidence,
    average,
    by_seed,
    effect,
    points,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    OPEN,
    SUPPORTED,
    UNDECIDED,
)
from tiny_gpt.claims.values import crossing
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report.schema import EXPLANATIONS, OBSERVATIONS

SEEDS = tuple(range(20))
FAMILY = REPRODUCTION.family
CLAIMS = REPRODUCTION.families[FAMILY]
BY_NAME = {claim.name: claim for claim in CLAIMS}
CURVES = pd.concat(
    pd.read_csv(study.published)
    for study in REPRODUCTION.studies
    if study.published
)
SPARSE = "triangle/sparse_a_to_c"
NOTHING = "triangle/no_a_to_c"
ROTATED = "controls/a_to_c_alone_rotated"
FOUR = "four_languages_controls"


def right(place, value, mapping="A->C", tier="*", prompt="*"):
    return {(place, mapping, "accuracy_aligned", tier, prompt): value}


def final(place, metric, value, prompt="*"):
    return {(place, "A->C", metric, "*", prompt): value}


def alone(published, updates, rotated):
    return {
        **right("triangle/a_to_c_alone", published),
        **right("controls/a_to_c_alone_equal_updates", updates),
        **right(ROTATED, rotated),
    }


def ranks(real, scrambled, no_route, learned=0.9):
    """Returns ranks below the ceiling, and the accuracy with 50 pairs."""
    kinds = {
        "sparse_a_to_c": real,
        "scrambled_a_to_c": scrambled,
        "no_route_to_c": no_route,
    }
    overrides = right("controls/sparse_a_to_c", learned)
    for name, value in kinds.items():
        for end in (25, 16, 12, 8, 4):
            overrides |= final(f"controls/{name}_{end}", "rank", value)
    return overrides


def four_ranks(real, scrambled, no_route, learned=0.5):
    overrides = {}
    for name, value in (
        ("sparse_pairs", real),
        ("scrambled_pairs", scrambled),
        ("no_route", no_route),
    ):
        overrides[f"{FOUR}/{name}", "*", "rank", "*", "*"] = value
    key = f"{FOUR}/sparse_pairs", "*", "accuracy_in_language", "*", "*"
    return {**overrides, key: learned}


def held_out(value):
    overrides = {}
    for n in (1, 2, 3):
        overrides |= right(f"controls/held_out_{n}", value)
    return overrides


def within(place, value):
    return final(place, "accuracy_in_language", value)


def reused(alone, related, unrelated):
    overrides = {}
    for n in (4, 8, 16):
        overrides |= within(f"controls/alone_{n}", alone)
        overrides |= within(f"controls/balanced_{n}", related)
        overrides |= within(f"controls/balanced_unrelated_{n}", unrelated)
    return overrides


def sized(smaller, small, larger, large):
    return within(f"controls/{smaller}", small) | within(
        f"controls/{larger}", large
    )


def widths(small, large):
    return sized("quarter_width", small, "double_width", large)


def depths(small, large):
    return sized("one_block", small, "four_blocks", large)


def losses(a_to_b, a_to_c):
    key = "loss_answer_words", "fresh_windows", "all"
    return {(SPARSE, "A->B", *key): a_to_b, (SPARSE, "A->C", *key): a_to_c}


EARLY, LATE = [3, 0.4, 0.3, 0.3, 0.3, 0.3], [3, 3, 3, 3, 0.5, 0.3]
NEVER = [3.0] * 6
SLOW = [3.0, 2.4, 1.8, 1.2, 0.6, 0.0]


def grown(values, mapping="A->C"):
    return {(SPARSE, mapping, "accuracy_aligned", "all", "*"): values}


def fitted(majority, rare):
    curves = grown(majority, "A->B") | grown(majority, "B->C")
    return {**curves, **grown(rare)}


SUDDEN = [0.1, 0.1, 0.1, 0.1, 0.9, 0.9]
AT_ONCE = [0.95] * 6

# Claim -> what the runs show -> observation and explanation.
CASES = [
    ("fig_2a", alone(0.1, 0.1, 0.1), CONFIRMED, SUPPORTED),
    ("fig_2a", alone(0.1, 0.1, 0.9), CONFIRMED, CONTRADICTED),
    ("fig_2a", alone(0.1, 0.9, 0.1), CONFIRMED, OPEN),
    ("fig_2a", alone(0.6, 0.1, 0.1), NOT_CONFIRMED, SUPPORTED),
    # 8 of 20 seeds are above 50 %: spread adds 0 to 0.009 to 0.4955.
    ("fig_2a", alone(0.4955, 0.1, 0.9), UNDECIDED, CONTRADICTED),
    ("fig_2b", right(NOTHING, 0.0), CONFIRMED, None),
    ("fig_2b", right(NOTHING, 0.3), NOT_CONFIRMED, None),
    # Nothing follows from a model that has not learned A->B.
    (
        "fig_2b",
        right(NOTHING, 0.0) | right(NOTHING, 0.5, "A->B"),
        UNDECIDED,
        None,
    ),
    ("fig_2c", {}, CONFIRMED, None),
    ("fig_2c", right(SPARSE, 0.2), NOT_CONFIRMED, None),
    ("fig_2c", right(SPARSE, 0.4955), UNDECIDED, None),
    ("composition", ranks(2, 4, 4), CONFIRMED, SUPPORTED),
    ("composition", ranks(5, 4, 4), CONFIRMED, CONTRADICTED),
    # No advantage in one control, and no disadvantage in the other.
    ("composition", ranks(4, 4, 3.5), CONFIRMED, NOT_NEEDED),
    ("composition", ranks(2, 4, 2), CONFIRMED, OPEN),
    # What is not learned is explained by nothing.
    ("composition", ranks(2, 4, 4, 0.1), NOT_CONFIRMED, OPEN),
    ("out_of_distribution", held_out(0.0), CONFIRMED, None),
    ("out_of_distribution", held_out(0.6), NOT_CONFIRMED, None),
    ("out_of_distribution", held_out(0.1205), UNDECIDED, None),
    ("assumption_2", reused(0.3, 0.6, 0.3), CONFIRMED, SUPPORTED),
    ("assumption_2", reused(0.3, 0.6, 0.59), CONFIRMED, NOT_NEEDED),
    ("assumption_2", reused(0.3, 0.6, 0.8), CONFIRMED, CONTRADICTED),
    ("assumption_2", reused(0.6, 0.6, 0.3), NOT_CONFIRMED, SUPPORTED),
    ("parameters_width", widths(0.1, 0.6), CONFIRMED, None),
    ("parameters_width", widths(0.6, 0.6), NOT_CONFIRMED, None),
    ("parameters_width", widths(0.55, 0.6), UNDECIDED, None),
    ("parameters_depth", depths(0.1, 0.6), CONFIRMED, None),
    ("parameters_depth", depths(0.6, 0.2), NOT_CONFIRMED, None),
    ("proposition_1", losses(EARLY, LATE), CONFIRMED, None),
    ("proposition_1", losses(EARLY, NEVER), CONFIRMED, None),
    ("proposition_1", losses(LATE, EARLY), NOT_CONFIRMED, None),
    ("proposition_2", final(SPARSE, "error_pivot_word", 0.9), CONFIRMED, None),
    (
        "proposition_2",
        final(SPARSE, "error_pivot_word", 0.1),
        NOT_CONFIRMED,
        None,
    ),
    (
        "prompts",
        right(SPARSE, 0.1, prompt="2_demonstrations_of_A->B"),
        CONFIRMED,
        None,
    ),
    ("prompts", {}, NOT_CONFIRMED, None),
    ("more_epochs", grown([0.1, 0.2, 0.3, 0.5, 0.7, 0.9]), CONFIRMED, None),
    (
        "more_epochs",
        grown([0.1, 0.9, 0.8, 0.7, 0.6, 0.5]),
        NOT_CONFIRMED,
        None,
    ),
    ("more_epochs", grown([0.1, 0.9, 0.9, 0.9, 0.9, 0.9]), NOT_CONFIRMED, None),
    # Scripted seeds are alike, so A->C's drop is matched by chance as well.
    ("distinct_drops", losses(EARLY, EARLY), UNDECIDED, None),
    ("distinct_drops", losses(EARLY, LATE), NOT_CONFIRMED, None),
    # The instrument is blind: not even A->B's drop is one of the total loss.
    ("distinct_drops", losses(LATE, LATE), UNDECIDED, None),
    (
        "mirage",
        losses(EARLY, LATE) | grown(SUDDEN),
        CONFIRMED,
        CONTRADICTED,
    ),
    (
        "mirage",
        losses(EARLY, SLOW) | grown(SUDDEN),
        NOT_CONFIRMED,
        CONTRADICTED,
    ),
    (
        "mirage",
        losses(EARLY, LATE) | grown([0.1] * 6),
        NOT_CONFIRMED,
        CONTRADICTED,
    ),
    (
        "majority_first",
        fitted(AT_ONCE, SUDDEN) | right(ROTATED, 0.9),
        CONFIRMED,
        NOT_NEEDED,
    ),
    (
        "majority_first",
        fitted(SUDDEN, AT_ONCE) | right(ROTATED, 0.1),
        NOT_CONFIRMED,
        SUPPORTED,
    ),
    (
        "majority_first",
        fitted(AT_ONCE, [0.1] * 6) | right(ROTATED, 0.1),
        NOT_CONFIRMED,
        SUPPORTED,
    ),
    ("table_1", {}, CONFIRMED, None),
    (
        "table_1",
        right("four_languages/sparse_pairs", 0.2, "D->B"),
        NOT_CONFIRMED,
        None,
    ),
    ("table_1_composition", four_ranks(2, 6, 6), CONFIRMED, SUPPORTED),
    ("table_1_composition", four_ranks(6, 5, 5), CONFIRMED, CONTRADICTED),
    ("table_1_composition", four_ranks(6, 6, 5), CONFIRMED, NOT_NEEDED),
    (
        "table_1_composition",
        four_ranks(2, 6, 6, 0.05),
        NOT_CONFIRMED,
        OPEN,
    ),
    ("memorised_answers", {}, CONFIRMED, None),
    (
        "memorised_answers",
        right("four_languages/sparse_pairs", 0.2, "D->B"),
        NOT_CONFIRMED,
        None,
    ),
]


def evidence_of(name, overrides, seeds=SEEDS, paper=None, curves=CURVES):
    places = set(BY_NAME[name].conditions) | {SPARSE}
    frame = scripted_metrics(overrides, seeds, places)
    return Evidence(frame, seeds, paper, curves, FAMILY.interval_level)


@pytest.mark.parametrize(
    ("name", "overrides", "observation", "explanation"), CASES
)
def test_the_rules_decide(name, overrides, observation, explanation):
    decision = BY_NAME[name].decide(evidence_of(name, overrides))
    found = decision.observation, decision.explanation
    assert found == (observation, explanation), decision.because
    assert decision.num_seeds == len(SEEDS)


def test_every_claim_on_runs_has_a_case_each_way():
    seen = {}
    for name, _, observation, explanation in CASES:
        seen.setdefault(name, set()).update({observation, explanation})
    on_runs = {c.name for c in CLAIMS if c.decided_on == "quick"}
    assert set(seen) == on_runs
    for name, outcomes in seen.items():
        claim = BY_NAME[name]
        concluded = {each.outcome for each in claim.observation.cases}
        if claim.explanation is not None and name != "mirage":  # arithmetic
            concluded |= {each.outcome for each in claim.explanation.cases}
        # Matched beyond chance needs seeds that differ: see below.
        if name == "distinct_drops":
            concluded -= {CONFIRMED}
        assert concluded <= outcomes, name


def test_drops_that_differ_by_seed_and_match_are_confirmed():
    claim = BY_NAME["distinct_drops"]
    frame = scripted_metrics(losses(EARLY, LATE), SEEDS, {SPARSE})
    index = ["seed", "epoch"]
    # One seed in three learns A->C in epoch 4, the others in epoch 6; all
    # learn A->B in epoch 2. The total loss falls each time.
    for (seed, epoch), rows in frame.groupby(index):
        learned = 4 if seed % 3 == 0 else 6
        of_a_to_c = rows.index[
            (rows["mapping"] == "A->C")
            & (rows["metric"] == "loss_answer_words")
        ]
        total = rows.index[rows["metric"] == "loss"]
        frame.loc[of_a_to_c, "value"] = 3.0 if epoch < learned else 0.2
        loss = 2.0 - (epoch >= 2) - 0.5 * (epoch >= learned)
        frame.loc[total, "value"] = loss
    evidence = Evidence(frame, SEEDS, None, CURVES, FAMILY.interval_level)
    assert claim.decide(evidence).observation == CONFIRMED


def test_drops_of_a_curve():
    # Falls: 1.0 at 2, 0.1 at 3, 0.5 at 4, 0.005 at 5, 0.0 at 6.
    curve = pd.Series([3, 2, 1.9, 1.4, 1.395, 1.395], range(1, 7), float)
    assert steepest(curve) == 2
    assert drops(curve) == [2, 4]


def test_the_width_of_a_rise():
    # Shares of the whole change: 0, 0.25, 0.5, 1.0. A tenth is passed at
    # 1 + 0.1 / 0.25 = 1.4, nine tenths at 3 + 0.4 / 0.5 = 3.8.
    curve = pd.Series([0.0, 0.2, 0.4, 0.8], [1, 2, 3, 4])
    assert width_of_rise(curve) == pytest.approx(2.4)


@pytest.mark.parametrize("name", sorted({case[0] for case in CASES}))
def test_one_seed_is_never_a_verdict(name):
    overrides = next(o for n, o, *_ in CASES if n == name)
    decision = BY_NAME[name].decide(evidence_of(name, overrides, seeds=(3,)))
    assert decision.observation == UNDECIDED
    assert decision.explanation in (OPEN, None) or name == "mirage"
    assert "One seed is never a verdict" in decision.because


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


def test_every_claim_is_decided_on_runs_of_the_preset_paper():
    places = {place for claim in CLAIMS for place in claim.conditions}
    seeds = (0, 1, 2)
    frame = scripted_metrics({}, seeds, places, preset="paper")
    asked = triangle.build_experiment("paper", "sparse_a_to_c").evaluation
    evidence = Evidence(
        frame,
        seeds,
        frame,
        CURVES,
        FAMILY.interval_level,
        asked.exact_demonstrations[0],
        asked.accuracy,
    )
    for entry in decide_all(CLAIMS, evidence, "make reproduce PRESET=paper"):
        is_whole = entry["name"] != "percent_65"  # of 100 epochs
        assert not is_whole or "missing" not in entry["because"], entry["name"]


def test_missing_runs_leave_a_claim_open():
    frame = scripted_metrics({}, SEEDS, {SPARSE, NOTHING})
    few = frame[(frame["condition"] != "no_a_to_c") | (frame["seed"] < 3)]
    evidence = Evidence(few, SEEDS, None, CURVES, FAMILY.interval_level)
    entries = {
        e["name"]: e for e in decide_all(CLAIMS, evidence, "make reproduce")
    }
    assert set(entries) == set(BY_NAME)
    assert entries["fig_2b"]["observation"] == UNDECIDED
    assert "triangle/no_a_to_c: seeds 3, 4" in entries["fig_2b"]["because"]
    assert "controls/" in entries["composition"]["because"]
    assert entries["composition"]["explanation"] == OPEN
    assert entries["fig_2c"]["observation"] == CONFIRMED
    assert {e["observation"] for e in entries.values()} <= set(OBSERVATIONS)
    explanations = {e["explanation"] for e in entries.values()} - {None}
    assert explanations <= set(EXPLANATIONS)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(bad):
    frame = scripted_metrics({}, SEEDS, {SPARSE})
    frame.loc[17, "value"] = bad
    with pytest.raises(ValueError, match=r"finite.*sparse_a_to_c"):
        Evidence(frame, SEEDS, None, CURVES, 0.95)


def test_a_frame_without_a_column_is_refused():
    frame = scripted_metrics({}, SEEDS, {SPARSE}).drop(columns="tier")
    with pytest.raises(ValueError, match=r"without \['tier'\]"):
        Evidence(frame, SEEDS, None, CURVES, 0.95)


def test_a_seed_counts_once():
    frame = pd.DataFrame({"seed": [0, 1, 1], "value": [0.1, 0.2, 0.3]})
    with pytest.raises(ValueError, match="one row"):
        by_seed(frame)


def test_intervals_share_the_level():
    # Bonferroni over all that the rules compare.
    assert FAMILY.num_intervals == sum(c.num_intervals for c in CLAIMS) > 15
    expected = 1 - (1 - LEVEL) / FAMILY.num_intervals
    assert FAMILY.interval_level == pytest.approx(expected, rel=1e-12)


def test_a_crossing_is_interpolated():
    # From 0.2 at 1 to 0.6 at 3, 0.5 is reached at 1 + 2 * 0.3 / 0.4 = 2.5.
    assert crossing([1, 3, 4], [0.2, 0.6, 0.1], 0.5) == pytest.approx(2.5)
    assert crossing([1, 3], [0.7, 0.6], 0.5) == 1.0
    assert crossing([1, 3], [0.1, 0.2], 0.5) == math.inf


def test_averages_and_words():
    assert average([{0: 0.2, 1: 0.4}, {0: 0.4, 1: 0.8}]) == pytest.approx(
        {0: 0.3, 1: 0.6}
    )
    assert points(Interval(0.872, 0.801, 0.93)) == "87.2 % (80.1 to 93.0)"
    assert points(Interval(0.872, math.nan, math.nan)) == "87.2 %"
    shown = effect("x", Interval(1.0, math.nan, math.inf), "nats")
    assert (shown["low"], shown["high"]) == (None, None)


def test_texts_are_whole():
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names) >= 20
    for claim in CLAIMS:
        assert claim.source.startswith("Sinha 2024, ")
        texts = (claim.title, claim.statement, claim.statistic, claim.margin)
        assert all(texts), claim.name
        assert claim.seen
        assert claim.decided_on == "paper" or claim.scenarios
