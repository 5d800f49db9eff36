"""Tests for the text and the questions of tiny_gpt/tasks/hangul."""

import unicodedata

import numpy as np
import pytest

from tiny_gpt.evaluation.data import (
    ANSWER,
    BETWEEN,
    NOT_SCORED,
    OTHERS,
    SOURCE,
)
from tiny_gpt.evaluation.every_sentence import Answers
from tiny_gpt.tasks.hangul.task import Hangul
from tiny_gpt.tasks.hangul.vocabulary import MAPPINGS

ALL = Hangul(majority=MAPPINGS[:-1], num_majority=50, num_sparse=41)
NAME = "HANGUL SYLLABLE "


def draw(task, seed=0):
    (data,) = task.draw(42, np.random.default_rng(seed))
    return data


@pytest.fixture(scope="module")
def data():
    return draw(ALL)


def test_a_to_b_to_c_is_what_unicode_says(data):
    # `s s . j j j j j j |` and `s s . l l l l l l |` of every syllable.
    every = np.arange(216)
    sentences = np.stack([every, every[::-1]], axis=1)
    vocabulary = data.vocabulary
    of_b, of_c, between, of_e = (
        [vocabulary.write(ids) for ids in vocabulary.pairs(label, sentences)]
        for label in ("A->B", "A->C", "B->C", "D->E")
    )
    for to_b, to_c, b_to_c, to_e in zip(of_b, of_c, between, of_e, strict=True):
        for i in (0, 1):
            parts = slice(3 + 3 * i, 6 + 3 * i)
            jamo = unicodedata.normalize("NFD", to_b[i])
            assert to_b[parts] == list(jamo)
            spelled = "".join(to_c[parts])
            assert unicodedata.name(to_c[i]) == f"{NAME}{spelled}"
            assert to_e[parts] == list(unicodedata.normalize("NFD", to_e[i]))
        assert b_to_c == [*to_b[3:9], ".", *to_c[3:9], "|"]
        assert to_b[2] == to_c[2] == "."
        assert to_b[9] == to_c[9] == "|"


def test_tokens_of_languages_and_places_differ(data):
    written = data.vocabulary.write(range(ALL.vocabulary_size))
    assert len(written) == ALL.vocabulary_size
    ids = [data.vocabulary.candidates(x).reshape(-1) for x in "BCEF"]
    assert np.unique(np.concatenate(ids)).size == 4 * 18


def test_a_to_c_shows_one_third(data):
    assert np.isin(data.sentences["A->C"], data.shown).all()
    # The others show all: 100 of 216 syllables leave many out of one third.
    assert not np.isin(data.sentences["A->B"], data.shown).all()
    fresh = data.fresh_windows("A->C", 30, np.random.default_rng(1))
    source = fresh.inputs[:, :2] - data.vocabulary.starts["A"]
    assert np.isin(source, data.shown).all()


def test_scrambled_letters_are_never_the_composed_ones(data):
    scrambled = draw(Hangul(num_majority=50, is_scrambled=True))
    every = np.arange(216)[:, None]
    composed, found = (
        d.vocabulary.answers("A->C", every) for d in (data, scrambled)
    )
    assert (composed != found).all()
    # Still letters of the same place, and one for each.
    places = scrambled.vocabulary.candidates("C")
    for place in range(3):
        assert set(found[:, place]) == set(places[place])
        pairs = {*zip(composed[:, place], found[:, place], strict=True)}
        assert len(pairs) == 6
    # B->C stays.
    to_c = [d.vocabulary.answers("B->C", every) for d in (data, scrambled)]
    np.testing.assert_array_equal(*to_c)


def test_one_seed_gives_all_conditions_the_same_text(data):
    other = draw(Hangul(majority=("A->B",), num_majority=50, num_sparse=41))
    for label in ("A->B", "A->C"):
        np.testing.assert_array_equal(
            other.windows()[label].inputs, data.windows()[label].inputs
        )
    again = draw(ALL, seed=1).windows()["A->C"].inputs
    assert (again != data.windows()["A->C"].inputs).any()


def test_windows_hold_whole_pairs_and_padding_is_not_scored(data):
    windows = data.windows()
    # 41 pairs of 10 tokens: 10 windows of 4, and one.
    sparse = windows["A->C"]
    assert sparse.inputs.shape == (11, 42)
    pair = [SOURCE, SOURCE, BETWEEN, *[ANSWER] * 6, BETWEEN]
    np.testing.assert_array_equal(
        sparse.kinds[0], [*(4 * pair)[1:], *[OTHERS] * 3]
    )
    np.testing.assert_array_equal(sparse.kinds[-1], [*pair[1:], *[OTHERS] * 33])
    np.testing.assert_array_equal(sparse.inputs[:, 1:], sparse.targets[:, :-1])
    kinds = np.concatenate([w.kinds for w in windows.values()])
    targets = np.concatenate([w.targets for w in windows.values()])
    is_padding = kinds == OTHERS
    assert (targets[is_padding] == 0).all()
    assert (targets[~is_padding] > 0).all()
    np.testing.assert_array_equal(
        data.targets, np.where(is_padding, NOT_SCORED, targets)
    )
    assert (len(data.inputs),) == ALL.num_windows(42)


def test_pairs_are_dealt_anew_and_stay_the_same():
    task = Hangul(majority=("A->B",), num_majority=40, num_sparse=41)
    data = draw(task)
    inputs, targets = data.recut(np.random.default_rng(5))
    assert inputs.shape == data.inputs.shape
    assert (inputs != data.inputs).any()

    def pairs(rows):
        rows = rows[:10, :40].reshape(-1, 10)  # those of A->B
        return sorted(map(tuple, rows))

    assert pairs(inputs) == pairs(data.inputs)
    assert inputs[:, 1:][targets[:, :-1] != NOT_SCORED].all()


def test_demonstrations_never_show_what_a_to_c_held_out(data):
    rng = np.random.default_rng(2)
    prompts, answers = data.sample_questions("A->C", 300, 2, rng)
    assert prompts.shape == (300, 23)
    assert answers.shape == (300, 6)
    syllables = prompts - data.vocabulary.starts["A"]
    assert np.isin(syllables[:, [0, 1, 10, 11]], data.shown).all()
    assert not np.isin(syllables[:, 20:22], data.shown).all()


class Scripted:
    """Answers by a function of questions and right answers."""

    def __init__(self, answer):
        self.answer_of, self.asked = answer, []

    def answer(self, questions, target):
        self.asked.append(questions)
        said = self.answer_of(questions, target)
        probabilities = np.full((*said.shape, ALL.vocabulary_size), 1e-3)
        np.put_along_axis(probabilities, said[..., None], 0.5, axis=-1)
        return Answers(target, said, probabilities)


def rows_of(data, answer):
    scripted = Scripted(answer)
    rng = np.random.default_rng(7)
    rows = data.exact_rows(scripted, (2,), False, rng)
    return scripted, {row[:4]: row[4] for row in rows}


def test_every_syllable_is_asked_first_and_second(data):
    scripted, found = rows_of(data, lambda questions, target: target)
    first = scripted.asked[0]  # of A->B
    for column in (-3, -2):
        ids = first[:, column] - data.vocabulary.starts["A"]
        assert sorted(ids) == list(range(216))
    at = "2_demonstrations", "num_words"
    assert found["A->B", "all_sentences", *at] == 216 * 6
    # Of the syllables that A->C did not show, twice three letters each.
    num_read = np.unique(data.sentences["A->C"]).size
    assert found["A->C", "unseen_words", *at] == (216 - num_read) * 6
    num_seen = np.unique(data.sentences["A->C"], axis=0).shape[0]
    assert found["A->C", "seen_sentences", *at] == num_seen * 6
    assert ("B->C", "unseen_words", *at) not in found
    accuracies = {v for k, v in found.items() if "accuracy" in k[3]}
    assert accuracies == {1.0}


def test_one_letter_of_each_place_is_right_once_in_six(data):
    # Each letter is in as many syllables that are not shown as any other.
    data = draw(Hangul(num_majority=50, num_sparse=2000))
    assert np.unique(data.sentences["A->C"]).size == 72
    constant = np.tile(data.vocabulary.candidates("C")[:, 2], 2)
    _, found = rows_of(
        data, lambda questions, target: np.tile(constant, (len(target), 1))
    )
    at = "A->C", "unseen_words", "2_demonstrations"
    for metric in ("accuracy_aligned", "accuracy_in_language"):
        assert found[*at, metric] == pytest.approx(1 / 6)
    # Of 6 letters the said one is first; the right one, if another, ties with
    # four others: (1 + 5 x 4) / 6, among the letters of its place.
    assert found[*at, "rank"] == pytest.approx((1 + 5 * 4) / 6)


def test_errors_are_told_apart():
    data = draw(Hangul(num_majority=50, is_scrambled=True))
    vocabulary = data.vocabulary

    def says(language):
        def answer(questions, target):
            sentences = questions[:, -3:-1] - vocabulary.starts["A"]
            if questions[0, -3] >= vocabulary.starts["B"]:  # asked B->C
                return target
            return vocabulary.encode(language, sentences)

        return answer

    at = "A->C", "unseen_words", "2_demonstrations"
    for language, kind in (("C", "composed_word"), ("B", "pivot_word")):
        _, found = rows_of(data, says(language))
        assert found[*at, "accuracy_aligned"] == 0.0
        assert found[*at, f"error_{kind}"] == 1.0
        assert found[*at, "error_other_language"] == 0.0
