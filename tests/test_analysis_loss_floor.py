"""Tests for tiny_gpt/analysis/loss_floor.py."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

from tiny_gpt.analysis.loss_floor import (
    Packing,
    WeightedMapping,
    bayes_log_probabilities,
    inferring_floor,
    inferring_floor_by_mapping,
    told_floor,
    told_floor_by_kind,
    told_floor_by_offset,
)

TRIANGLE = {"A->B": 2500, "B->C": 2500, "A->C": 50}
FOUR_LANGUAGES = {
    "A->B": 5000,
    "A->D": 4500,
    "A->C": 4000,
    "D->B": 100,
    "D->C": 200,
    "B->C": 300,
}
SPACE_MARK = -1


def weighted_mappings(num_pairs_by_mapping, alphabet_size, rng):
    """Gives each language its own order, so that mappings compose."""
    orders = {name: rng.permutation(alphabet_size) for name in "ABCD"}
    return [
        WeightedMapping(
            num_pairs,
            "ABCD".index(label[0]),
            "ABCD".index(label[-1]),
            orders[label[-1]][np.argsort(orders[label[0]])],
        )
        for label, num_pairs in num_pairs_by_mapping.items()
    ]


def pair_words(sentence, mapping, alphabet_size):
    """Word ids of one sentence pair, written out."""
    source, target = (
        2 + language * alphabet_size
        for language in (mapping.source, mapping.target)
    )
    translated = [int(mapping.permutation[s]) for s in sentence]
    return [
        *(source + s for s in sentence),
        0,
        *(target + s for s in translated),
        1,
    ]


def enumerate_rows(mappings, packing):
    """Probability of every possible row, for each mapping.

    The offsets are found by cutting a long stream, not by their gcd.
    """
    n, k = packing.alphabet_size, packing.sentence_length
    tokens_per_pair = 2 * (k + 1) * packing.tokens_per_word
    width = packing.sequence_length + 1
    starts = [row * width % tokens_per_pair for row in range(tokens_per_pair)]
    sentences = list(itertools.permutations(range(n), k))
    num_pairs = 1 + -(-(width - 1) // tokens_per_pair)
    total_weight = sum(m.weight for m in mappings)
    rows_by_mapping = []
    for mapping in mappings:
        rows = defaultdict(float)
        for text in itertools.product(sentences, repeat=num_pairs):
            tokens = []
            for sentence in text:
                for word in pair_words(sentence, mapping, n):
                    marks = [SPACE_MARK] * (packing.tokens_per_word - 1)
                    tokens += [*marks, word]
            for start in starts:
                rows[tuple(tokens[start : start + width])] += (
                    mapping.weight
                    / total_weight
                    / len(starts)
                    / len(sentences) ** num_pairs
                )
        rows_by_mapping.append(rows)
    return rows_by_mapping


def mixed(rows_by_mapping):
    """Probability of every row and of every first token, mappings mixed."""
    row_probability, first_probability = defaultdict(float), defaultdict(float)
    for rows in rows_by_mapping:
        for row, probability in rows.items():
            row_probability[row] += probability
            first_probability[row[0]] += probability
    return row_probability, first_probability


def sample_rows(mappings, alphabet_size, sentence_length, num_words, rng, size):
    """Draws rows of words: mapping by weight, offset uniform."""
    weights = np.array([m.weight for m in mappings], float)
    num_pairs = num_words // (2 * sentence_length + 2) + 2
    rows = []
    for chosen in rng.choice(len(mappings), size, p=weights / weights.sum()):
        words = []
        for _ in range(num_pairs):
            sentence = rng.permutation(alphabet_size)[:sentence_length]
            words += pair_words(sentence, mappings[chosen], alphabet_size)
        offset = rng.integers(2 * sentence_length + 2)
        rows.append(words[offset : offset + num_words])
    return np.array(rows)


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


@pytest.mark.parametrize("tokens_per_word", [1, 2])
def test_the_bayes_predictor_knows_all_possible_rows(tokens_per_word):
    num_pairs = {"A->B": 5, "C->B": 2, "A->C": 1}
    packing = Packing(3, 2, 5 * tokens_per_word - 1, tokens_per_word)
    mappings = weighted_mappings(num_pairs, 3, np.random.default_rng(1))
    row_probability, _ = mixed(enumerate_rows(mappings, packing))
    rows = np.array(list(row_probability))[:, tokens_per_word - 1 :]
    rows = rows[:, ::tokens_per_word]  # without the space marks
    given = np.exp(bayes_log_probabilities(rows, mappings, packing).sum(1))
    expected = np.array(list(row_probability.values()))
    np.testing.assert_allclose(given, expected, rtol=1e-12)


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
    ("sequence_length", "tokens_per_word"), [(45, 2), (30, 1)]
)
@pytest.mark.parametrize(
    ("num_pairs", "alphabet_size"), [(TRIANGLE, 8), (FOUR_LANGUAGES, 12)]
)
def test_the_bayes_predictor_reaches_the_floor(
    num_pairs, alphabet_size, sequence_length, tokens_per_word
):
    # n = 4000 rows. After a space mark even the first word is predicted.
    rng = np.random.default_rng(2)
    packing = Packing(alphabet_size, 4, sequence_length, tokens_per_word)
    mappings = weighted_mappings(num_pairs, alphabet_size, rng)
    num_words = (sequence_length + 1) // tokens_per_word
    rows = sample_rows(mappings, alphabet_size, 4, num_words, rng, 4000)
    nats = -bayes_log_probabilities(rows, mappings, packing)
    losses = nats[:, 2 - tokens_per_word :].sum(axis=1) / sequence_length
    error = losses.std() / math.sqrt(4000)
    floor = inferring_floor(packing, num_pairs)
    assert abs(losses.mean() - floor) < 4 * error
    assert 4 * error < 0.01  # inferring costs 0.05 or more


def test_next_words_share_one():
    # 2 languages of 3 symbols: 8 words, all 4096 rows of 4.
    mappings = weighted_mappings(
        {"A->B": 3, "B->A": 1}, 3, np.random.default_rng(3)
    )
    rows = np.array(list(itertools.product(range(8), repeat=4)))
    log_probabilities = bayes_log_probabilities(
        rows, mappings, Packing(3, 2, 4, 1)
    )
    for length in range(4):
        # Rows that differ after this word alone repeat its probability.
        next_words = np.exp(log_probabilities[:: 8 ** (3 - length), length])
        sums = next_words.reshape(-1, 8).sum(axis=1)
        possible = ~np.isnan(sums)
        assert possible.any()
        np.testing.assert_allclose(sums[possible], 1.0, rtol=1e-12)


def test_an_ambiguous_question_is_answered_by_weight():
    # Rows of one pair `a . b |`: a is 1 of 2 symbols, then B has 3/4.
    swap, keep = (1, 0), (0, 1)
    mappings = [WeightedMapping(3, 0, 1, swap), WeightedMapping(1, 0, 2, keep)]
    a, b_of_a, c_of_a = 2, 4 + swap[0], 6 + keep[0]
    rows = np.array([[a, 0, b_of_a, 1], [a, 0, c_of_a, 1], [a, 1, a, 0]])
    log_probabilities = bayes_log_probabilities(
        rows, mappings, Packing(2, 1, 3, 1)
    )
    probabilities = np.exp(log_probabilities)
    np.testing.assert_allclose(probabilities[0], [1 / 2, 1, 3 / 4, 1])
    np.testing.assert_allclose(probabilities[1], [1 / 2, 1, 1 / 4, 1])
    assert probabilities[2, 1] == 0.0
    assert np.isnan(log_probabilities[2, 2:]).all()


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


def test_rejects_rows_of_words_that_start_inside_a_word():
    rows = np.array([[0, 2]])
    mappings = [WeightedMapping(1, 0, 1, (0, 1))]
    with pytest.raises(ValueError, match="space mark and its word"):
        bayes_log_probabilities(rows, mappings, Packing(2, 1, 2, 2))
