"""The plateau of in-context learning: conditions, escapes and rules."""

import dataclasses
import math

import pandas as pd
import pytest

from experiments import in_context, in_context_pools, networks
from experiments.claims import in_context as family
from experiments.claims.in_context.escapes import (
    escapes,
    left_at_end,
    lost,
    ratio,
)
from experiments.claims.in_context.plateau import CLAIMS
from experiments.in_context import PRESETS
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.metrics.columns import COLUMNS

FLOOR = 0.2  # of the best reader
FRESH, HALF = "gpt_fresh", "gpt_half_fixed"
BY_NAME = {claim.name: claim for claim in CLAIMS}
STUDIES = (in_context.STUDY, in_context_pools.STUDY)


@pytest.mark.parametrize(
    ("study", "preset", "condition"),
    [(s, p, c) for s in STUDIES for p in s.presets for c in s.conditions],
    ids=lambda each: getattr(each, "name", each),
)
def test_conditions_have_equal_updates_and_rates(study, preset, condition):
    built = study.build(preset, condition)
    size = PRESETS[preset]
    assert updates_per_epoch(built) == in_context.UPDATES
    assert built.train.num_epochs == size.num_epochs
    assert built.train.learning_rate == 3e-3
    network = condition.split("_")[0]
    expected = dataclasses.replace(
        networks.network(network),
        vocabulary_size=1 + 2 * size.num_symbols,
        sequence_length=2 * size.num_pairs - 1,
    )
    assert built.model == expected
    assert set(study.sparse) <= set(built.task.eval_mappings)


def test_half_a_batch_reads_the_fresh_windows_of_half_fixed():
    build = in_context.STUDY.build
    half, alone = (
        build("whole", name) for name in (HALF, "gpt_fresh_half_batch")
    )
    share = 1 - half.task.fixed_share
    assert alone.train.batch_size == share * half.train.batch_size
    assert alone.task.fixed_share == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_sizes_are_the_gpts_within_two_percent(preset):
    gpt, gru = (
        in_context.STUDY.build(preset, f"{name}_fresh").model.build()
        for name in in_context.NETWORKS
    )
    assert gru.count_params() == pytest.approx(gpt.count_params(), rel=0.02)


def test_late_answers_are_those_of_the_second_half():
    assert PRESETS["whole"].late == (7, 15)
    assert PRESETS["quick"].late == (3, 7)


def evidence(curves, seeds=range(10)):
    """Returns the evidence of late losses by condition and seed."""
    rows = []
    for condition, by_seed in curves.items():
        for seed in seeds:
            for i, loss in enumerate(by_seed(seed)):
                # The mean of two positions, and one that is not late.
                for k, shift in ((0, 5.0), (7, 0.1), (15, -0.1)):
                    at = f"{k}_demonstrations"
                    place = 50 * (i + 1), "fresh", "fresh_windows", at
                    first = "in_context", condition, seed, i + 1, *place
                    for metric, value in (
                        ("loss_after_pairs", loss + shift),
                        ("nats_above_all", loss + shift - FLOOR),
                    ):
                        rows.append((*first, metric, value))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    published = pd.DataFrame(columns=["condition", "metric", "task", "value"])
    return Evidence(
        frame, tuple(seeds), None, published, family.FAMILY.interval_level
    )


PLATEAU = math.log(8)
HALFWAY = (PLATEAU + FLOOR) / 2
EARLY = [PLATEAU, HALFWAY - 0.01, 0.3, 0.25]
LATE = [PLATEAU, PLATEAU, HALFWAY + 0.01, HALFWAY]
NEVER = [PLATEAU] * 4


def test_escapes_are_read_from_late_answers():
    found = evidence(
        {FRESH: lambda seed: LATE if seed else NEVER, HALF: lambda seed: EARLY}
    )
    late = escapes(FRESH)(found)
    assert late[0] == math.inf
    assert late[1] == 200.0
    assert escapes(HALF)(found)[0] == 100.0
    ratios = ratio(FRESH, HALF)(found)
    assert ratios[0] == math.inf
    assert ratios[1] == 2.0
    assert ratio(HALF, FRESH)(found)[0] == 0.0
    assert math.isnan(ratio(FRESH, FRESH)(found)[0])


def test_the_figure_has_a_line_for_each_seed_and_level():
    runs = {FRESH: lambda seed: LATE, HALF: lambda seed: EARLY}
    found = evidence(runs, seeds=range(2))
    figure = in_context.STUDY.draw(found, "title")
    (panel,) = figure.axes  # the GRU was not run
    assert len(panel.lines) == 2 * 2 + 2
    levels = [line.get_ydata()[0] for line in panel.lines[-2:]]
    assert levels == pytest.approx([FLOOR, FLOOR])  # as scripted
    assert in_context.STUDY.draw(evidence({FRESH: runs[FRESH]}), "") is None


def test_what_is_lost_is_of_the_gain():
    transient = [PLATEAU, PLATEAU - 1, PLATEAU - 0.75, PLATEAU - 0.5]
    found = evidence({HALF: lambda seed: transient if seed else NEVER})
    shares = lost(HALF)(found)
    assert shares[1] == pytest.approx(0.5)
    assert shares[0] == 0.0


@pytest.mark.parametrize(
    ("fresh", "outcome"),
    [
        (lambda seed: LATE, "confirmed"),
        (lambda seed: NEVER, "confirmed"),
        (lambda seed: LATE if seed else EARLY, "undecided"),
        (lambda seed: EARLY, "not confirmed"),
    ],
)
def test_the_rule_decides(fresh, outcome):
    claim = BY_NAME["in_context_gpt_plateau"]
    decided = claim.decide(evidence({FRESH: fresh, HALF: lambda seed: EARLY}))
    assert decided.observation == outcome


def test_who_never_escapes_with_either_is_undecided():
    claim = BY_NAME["in_context_gpt_plateau"]
    never = {FRESH: lambda seed: NEVER, HALF: lambda seed: NEVER}
    assert claim.decide(evidence(never)).observation == "undecided"


def test_the_end_is_compared_in_nats_above_the_best_reader():
    # Fresh ends half of the way up: (log 8 - 0.2) / 2 above the reader. The
    # means are over four measurements.
    runs = {FRESH: lambda seed: [HALFWAY + seed / 100] * 4}
    runs[HALF] = lambda seed: [FLOOR + 0.05] * 4
    found = evidence(runs)
    above = left_at_end(FRESH)(found)
    assert above[3] == pytest.approx(HALFWAY + 0.03 - FLOOR)
    claim = BY_NAME["in_context_gpt_end"]
    assert claim.decide(found).observation == "confirmed"
    runs[FRESH] = lambda seed: [FLOOR + seed / 1000] * 4
    assert claim.decide(evidence(runs)).observation == "not confirmed"


def test_a_share_of_the_way_can_be_asked():
    found = evidence({HALF: lambda seed: EARLY})
    # 90 % of the way from log 8 to 0.2 is 0.388.
    assert escapes(HALF, 0.9)(found)[0] == 150.0


def test_the_family_is_whole():
    assert family.FAMILY.ordered(CLAIMS) == CLAIMS
