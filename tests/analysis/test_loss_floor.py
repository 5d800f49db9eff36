"""Tests for tiny_gpt/analysis/loss_floor.py."""

import math

import numpy as np
import pytest

from tests.helpers.enumerated_rows import (
    FOUR_LANGUAGES,
    TRIANGLE,
    enumerate_rows,
    mixed,
    weighted_mappings,
)
from tiny_gpt.analysis.loss_floor import (
    Packing,
    inferring_floor,
    inferring_floor_by_mapping,
    told_floor,
    told_floor_by_kind,
    told_floor_by_offset,
)

# 3 symbols, sentences of 2, (sequence_length, tokens_per_word). Rows of 5
# words, the fewest allowed, start everywhere in a pair of 6, rows of 9 at two
# places; of 10 tokens at every space mark, of 11 everywhere, of 12 at one.
SMALL = [(4, 1), (8, 1), (9, 2), (10, 2), (11, 2)]


@pytest.mark.parametrize(("sequence_length", "tokens_per_word"), SMALL)
def test_the_floors_are_the_entropy_of_all_possible_rows(
    sequence_length, tokens_per_word
):
    num_pairs = {"A->B": 5, "C->B": 2, "A->C": 1}  # share source or target
    packing = Packing(3, 2, sequence_length, tokens_per_word)
    mappings = weighted_mappings(num_pairs, 3, np.random.default_rng(0))
    rows_by_mapping = enumerate_rows(mappings, packing)
    row_probability, first_probability = mixed(rows_by_mapping)
    assert math.fsum(row_probability.values()) == pytest.approx(1.0, rel=1e-12)

    def entropy(probabilities):
        return -math.fsum(p * math.log(p) for p in probabilities)

    expected = entropy(row_probability.values())
    expected -= entropy(first_probability.values())
    floor = inferring_floor(packing, num_pairs)
    assert floor == pytest.approx(expected / sequence_length, rel=1e-12)

    by_mapping = inferring_floor_by_mapping(packing, num_pairs)
    for label, rows in zip(num_pairs, rows_by_mapping, strict=True):
        cost = -math.fsum(
            p * math.log(row_probability[row] / first_probability[row[0]])
            for row, p in rows.items()
        ) / math.fsum(rows.values())
        assert by_mapping[label] == pytest.approx(
            cost / sequence_length, rel=1e-12
        )


def test_told_floor_of_the_published_packing():
    # 45 predictions, 23 words, 10 offsets, S = ln(8*7*6*5). Place 0: two
    # sentences and three words; 1 to 5: the sentence that the start cut,
    # whichever half shows it, and two more; 6 to 8: three, two or one target
    # word, two sentences, at 8 the first word of a third; 9: the end mark,
    # two sentences, two words. Sum: 25 S + 2 ln 336 + 2 ln 56 + 2 ln 8.
    def by_hand(n):
        one, two, three, four = (math.log(math.perm(n, i)) for i in range(1, 5))
        return (25 * four + 2 * three + 2 * two + 2 * one) / 450

    for n in (8, 12):
        floor = told_floor(Packing(n, 4, 45, 2))
        assert floor == pytest.approx(by_hand(n), rel=1e-12)
    floor = told_floor(Packing(8, 4, 45, 2))
    assert floor == pytest.approx(0.466, abs=5e-4)
    by_offset = told_floor_by_offset(Packing(8, 4, 45, 2))
    assert list(by_offset) == list(range(0, 20, 2))
    assert by_offset[18] == pytest.approx(
        (2 * math.log(1680) + math.log(56)) / 45, rel=1e-12
    )
    assert min(by_offset.values()) == pytest.approx(0.420, abs=5e-4)
    assert max(by_offset.values()) == pytest.approx(0.495, abs=5e-4)


@pytest.mark.parametrize(
    ("num_pairs", "alphabet_size"), [(TRIANGLE, 8), (FOUR_LANGUAGES, 12)]
)
def test_inferring_costs_the_entropy_of_mapping_and_offset(
    num_pairs, alphabet_size
):
    # Rows of 46 tokens start with a space mark, which says nothing, so that
    # [ln 10 + H(mapping)] / 45 is added: 0.0676 and 0.0793. Above the told
    # 0.4656 and 0.5859 that makes 0.5332 and 0.6653.
    packing = Packing(alphabet_size, 4, 45, 2)
    total = sum(num_pairs.values())
    entropy = sum(x / total * math.log(total / x) for x in num_pairs.values())
    expected = told_floor(packing) + (math.log(10) + entropy) / 45
    floor = inferring_floor(packing, num_pairs)
    assert floor == pytest.approx(expected, rel=1e-12)


def test_whole_pairs_per_row_cost_one_sentence():
    # Rows of 20 tokens always hold one pair: ln(1680) over the 19 tokens
    # after the space mark. Over all 20 that is the 0.371 that ignores packing.
    floor = told_floor(Packing(8, 4, 19, 2))
    assert floor == pytest.approx(math.log(1680) / 19, rel=1e-12)
    assert floor * 19 / 20 == pytest.approx(0.371, abs=5e-4)


def test_told_floor_by_kind_of_a_tiny_packing():
    # 2 symbols, sentences of 1, rows of 5 words; the first is not predicted.
    #   s . t | s   source ln 2, answer 0
    #   . t | s .   answer ln 2 (its source was cut off), source ln 2
    #   t | s . t   source ln 2, answer 0
    #   | s . t |   source ln 2, answer 0
    nats = math.log(2)
    assert told_floor_by_kind(Packing(2, 1, 4, 1)) == pytest.approx(
        {
            "source_words": nats,
            "answer_words": nats / 4,
            "separators": 0.0,
            "all": 5 * nats / 16,
        },
        rel=1e-12,
    )


def test_rows_may_start_between_a_space_mark_and_its_word():
    # As above with space marks, rows of 3 tokens, 8 offsets; (x) is read.
    #   (_) s _,  (.) _ t: ln 2 each; (s) _ ., (_) . _, (_) | _, (|) _ s: the
    #   last ln 2; (t) _ |: 0; (_) t _ with the source cut off: ln 2.
    floors = told_floor_by_offset(Packing(2, 1, 2, 2))
    half = math.log(2) / 2
    assert floors == pytest.approx(
        {0: half, 1: 0.0, 2: 0.0, 3: half, 4: half, 5: 0.0, 6: 0.0, 7: half},
        rel=1e-12,
    )


@pytest.mark.parametrize(
    "packing", [Packing(8, 4, 45, 2), Packing(8, 4, 30, 1)]
)
def test_floors_by_mapping_average_to_the_floor(packing):
    floors = inferring_floor_by_mapping(packing, {**TRIANGLE, "C->A": 0})
    assert list(floors) == list(TRIANGLE)
    mean = sum(x / 5050 * floors[label] for label, x in TRIANGLE.items())
    floor = inferring_floor(packing, TRIANGLE)
    assert mean == pytest.approx(floor, rel=1e-12)


def test_a_rare_mapping_pays_its_rarity():
    # With space marks in front nothing else differs: ln(2500/50) / 45.
    floors = inferring_floor_by_mapping(Packing(8, 4, 45, 2), TRIANGLE)
    assert floors["A->C"] - floors["A->B"] == pytest.approx(
        math.log(50) / 45, rel=1e-12
    )


@pytest.mark.parametrize(
    "numbers", [(3, 4, 9, 1), (8, 0, 9, 1), (8, 4, 0, 1), (8, 4, 9, 3)]
)
def test_rejects_what_is_no_packing(numbers):
    with pytest.raises(ValueError, match="Received: Packing"):
        Packing(*numbers)


@pytest.mark.parametrize("packing", [Packing(8, 4, 5, 1), Packing(8, 4, 12, 2)])
def test_rejects_rows_that_may_not_settle_their_mapping(packing):
    # 6 words: `. v v v v |` fits every source language.
    with pytest.raises(ValueError, match=r"`sentence_length` \+ 3 words"):
        inferring_floor(packing, TRIANGLE)


@pytest.mark.parametrize(
    "num_pairs",
    [{}, {"A->B": 0}, {"A->B": 2, "A->C": -1}, {"AB": 2}, {"A->": 1}],
)
def test_rejects_what_is_no_mixture(num_pairs):
    with pytest.raises(ValueError, match="Received: num_pairs_by_mapping"):
        inferring_floor(Packing(8, 4, 45, 2), num_pairs)
