"""Numbers of docs/anti_composition.md follow from the committed frames."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.pages.anti_composition import (
    Rows,
    read_older,
    rows_of,
    sets_of_seeds,
)
from benchmarks.pages.anti_composition_statistics import (
    at_blind_guess,
    correlation,
    leading_part,
)
from benchmarks.pages.anti_composition_tables import by_name, tables, written
from experiments import anti_composition as study

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "runs"
FOLDER = RUNS / "anti_composition"
PAGE = (ROOT / "docs" / "anti_composition.md").read_text()
# Topic, what, digits, sign; with sign "v" the mean alone.
SAID = (
    ("rank", "epochs_15", 1, ""),
    ("epochs_15, changed", "both, own_b, A->C", 1, ""),
    ("rank", "frozen_ends", 1, ""),
    ("seeds with a rank below 5", "all seeds", 0, "v"),
    ("no_positions, C words", "A->C own place_1", 1, ""),
    ("no_positions, C words", "A->C later place_1", 1, ""),
    ("no_positions, C words", "A->C absent place_1", 1, ""),
    ("rank", "no_route", 1, ""),
    ("log_probability_in_language", "epochs_15", 1, ""),
    ("epochs_15, C words", "A->C own place_1", 1, ""),
    ("epochs_15, C words", "A->C later place_1", 1, ""),
    ("epochs_15, C words", "A->C absent place_1", 1, ""),
    ("rank", "b_to_c_last", 1, ""),
    ("rank", "tagged", 1, ""),
    ("epochs_15, C words", "A->B own place_1", 1, ""),
    ("epochs_15, B words", "B->C own place_1", 1, ""),
    ("epochs_15, B words", "B->C absent place_1", 1, ""),
    ("epochs_15, A words", "A->B own place_1", 1, ""),
    ("cosine, embedding", "epochs_15, A->B", 2, ""),
    ("cosine, embedding", "epochs_15, B->C", 2, ""),
    ("cosine, head", "epochs_15, B->C", 2, ""),
    ("cosine, embedding", "epochs_15, A->C", 2, ""),
    ("epochs_15, rank with cosine", "embedding A->B", 2, ""),
    ("epochs_15, rank with cosine", "head B->C", 2, ""),
    ("epochs_15, rank with cosine", "embedding A->B, seeds above 5", 2, ""),
    ("epochs_15, rank with cosine", "head B->C, seeds above 5", 2, ""),
    ("tagged, rank with cosine", "embedding A->B", 2, ""),
    ("tagged, rank with cosine", "head B->C", 2, ""),
    ("epochs_15, changed", "both, own_b, A->B", 1, "v"),
    ("epochs_15, changed", "both, own_b, B->C", 1, "v"),
    ("tagged, changed", "both, nothing, A->C", 1, ""),
    ("tagged, changed", "both, own_b, A->C", 1, ""),
    ("epochs_15, gap", "all", 1, ""),
    ("epochs_15, gap", "own_b", 1, ""),
    ("epochs_15, written", "C, block_0.attention", 1, ""),
    ("epochs_15, written", "C, block_0.feed_forward", 1, ""),
    ("epochs_15, stream", "block_0.feed_forward, own_b", 1, ""),
    ("epochs_15, stream", "block_0.feed_forward, exchanged", 1, ""),
    ("rank", "frozen_head", 1, ""),
    ("rank less base", "frozen_ends", 1, "+"),
    ("real - scrambled, 8", "seeds 1000 to 1009", 1, "+"),
    ("real - scrambled, 12", "seeds 1000 to 1009", 1, "+"),
    ("rank with real - scrambled, 8", "all seeds", 2, "+"),
    ("rank with real - scrambled, 12", "all seeds", 2, "+"),
    ("rank with real - scrambled, 8", "seeds above 5", 2, "+"),
    ("rank with real - scrambled, 12", "seeds above 5", 2, "+"),
    ("real - scrambled, expected at a blind guess", "8", 1, "+"),
    ("real - scrambled, expected at a blind guess", "12", 1, "+"),
    ("cosine, embedding", "no_positions, A->B", 2, ""),
)


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(FOLDER / "metrics.csv.gz", low_memory=False)


@pytest.fixture(scope="module")
def numbers():
    return pd.read_csv(FOLDER / "numbers.csv")


def test_the_numbers_follow_from_the_frames(frame, numbers):
    rows = Rows(frame)
    again = rows_of(rows, sets_of_seeds(rows, read_older(RUNS)))
    pd.testing.assert_frame_equal(
        again, numbers, atol=1e-4, rtol=0, check_dtype=False
    )


def test_tables_and_prose_follow_from_the_numbers(numbers):
    made = tables(numbers)
    assert (FOLDER / "table.md").read_text() == "\n".join(made)
    for table in made:
        assert table in PAGE
    found = by_name(numbers)
    for topic, what, digits, sign in SAID:
        row = found[topic, what]
        said = written(row, digits, 1, sign.strip("v"))
        if sign == "v":
            said = said.split(" (")[0]
        assert said in PAGE, (topic, what, said)


def test_every_run_is_there_and_no_kept_seed(frame):
    seeds = frame.groupby("condition")["seed"].unique().map(sorted).to_dict()
    assert seeds == {name: list(study.seeds_of(name)) for name in study.CHANGES}
    assert min(map(min, seeds.values())) == 1000
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert manifest["seeds"] == seeds


def test_the_one_seed_that_the_page_names(frame):
    rows = Rows(frame)
    low = rows.exact(study.BASE)
    assert list(low.index[low < 5]) == [1004]
    for name in ("epochs_30", "pairs_250", "pairs_1000", "pairs_10000"):
        assert rows.exact(name)[1004] < 5
    for name in ("tagged", "depth_1", "depth_4", "width_32", "characters"):
        assert rows.exact(name)[1004] > 5.5


def test_the_largest_part_of_the_smallest_table():
    # ((1, 0), (-1, 1)) has the singular values g and 1/g, g the golden ratio.
    # The larger one has u = (1, -g) and v = (g, -1), both over sqrt(1 + g^2),
    # and g^2 = 1 + g: its part in place of the 0 is -g / (1 + g^2) = -1/sqrt 5.
    part = leading_part(np.array([[1.0, 0.0], [-1.0, 1.0]]))
    assert part[0, 1] == pytest.approx(-1 / math.sqrt(5))
    assert f"{part[0, 1]:.2f}".replace("-", "−") in PAGE
    golden = (1 + math.sqrt(5)) / 2
    assert part[0, 0] == pytest.approx(golden**2 / (1 + golden**2))
    # Words that do not speak against themselves are not joined.
    assert leading_part(np.diag([1.0, 0.9])) == pytest.approx(np.diag([1, 0]))


def test_longer_tables_alternate():
    table = np.eye(4, k=1) - np.eye(4)
    steps = np.subtract.outer(np.arange(4), np.arange(4))
    expected = np.where(steps % 2, 1, -1)
    assert (np.sign(leading_part(table)) == expected).all()


def test_a_correlation_and_its_interval():
    # Of (1, 1, -1, -1) and (1, 0, 0, -1): r = 2 / sqrt(4 * 2) = 1/sqrt 2. The
    # error of z = atanh(r) is 1/sqrt(4 - 3), and 1.96 errors are 95 %.
    first, second = [1.0, 1.0, -1.0, -1.0], [1.0, 0.0, 0.0, -1.0]
    found = correlation(pd.Series(first), pd.Series(second))
    assert found.value == pytest.approx(1 / math.sqrt(2))
    z = math.atanh(1 / math.sqrt(2))
    assert math.atanh(found.low) == pytest.approx(z - 1.96, abs=1e-3)
    assert math.atanh(found.high) == pytest.approx(z + 1.96, abs=1e-3)


def test_the_gap_at_a_blind_guess():
    # On the line 1 + 2 (rank - 4.5) without noise it is 1, and sure.
    rank = pd.Series([4.5, 5.5, 6.5, 7.5])
    found = at_blind_guess(rank, 1 + 2 * (rank - 4.5))
    assert found.value == pytest.approx(1.0)
    assert found.high - found.low == pytest.approx(0.0, abs=1e-6)
