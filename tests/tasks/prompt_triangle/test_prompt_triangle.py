"""Tests for tiny_gpt/tasks/prompt_triangle/: windows, reader, floors."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tiny_gpt.evaluation.data import ANSWER, NOT_SCORED, CutAnew, Data
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import Answers
from tiny_gpt.tasks.prompt_triangle.data import MAPPINGS, NONE, Slots
from tiny_gpt.tasks.prompt_triangle.reader import expect, question_loss
from tiny_gpt.tasks.prompt_triangle.task import PromptTriangle

CELLS = [*itertools.product(("fresh", "fixed"), repeat=2)]
LOG2, LOG3 = math.log(2), math.log(3)
SIZE, NUM_FACTS = 4, 6
A_TO_B, B_TO_C = 13, 14  # tags


def draw(first="fresh", second="fresh", seed=0, **changes):
    task = PromptTriangle(first, second, windows_per_epoch=200, **changes)
    (data,) = task.draw(38, np.random.default_rng(seed))
    return data


def facts_of(row):
    """Returns the facts of a row of tokens, without padding."""
    triples = np.asarray(row).reshape(-1, 3)
    return [tuple(map(int, t)) for t in triples if t.any()]


def test_tokens_by_hand():
    # A 1 to 4, B 5 to 8, C 9 to 12, tags B 13 and C 14. A->B is the
    # identity, B->C the opposite order.
    first, second = np.array([[0, 1, 2, 3]]), np.array([[3, 2, 1, 0]])
    kinds, sources = np.array([[NONE, 0, 1, 2]]), np.array([[0, 1, 2, 3]])
    slots = Slots(kinds, sources, first, second)
    expected = [0, 0, 0, 2, 13, 6, 7, 14, 10, 4, 14, 9]
    assert slots.encode().tolist() == [expected]
    # Target t is token t + 1: the answers are tokens 5, 8 and 11.
    answers = np.flatnonzero(slots.kinds_of_targets()[0] == ANSWER)
    assert answers.tolist() == [4, 7, 10]
    assert np.flatnonzero(slots.kinds_of_targets(2)[0] == ANSWER) == [10]


@pytest.mark.parametrize(("first", "second"), CELLS)
def test_windows_show_what_is_fresh_and_then_ask(first, second):
    data = draw(first, second)
    assert isinstance(data, CutAnew)
    inputs, targets = data.recut(np.random.default_rng(1))
    rows = np.concatenate([inputs, data.slots.encode()[:, -1:]], axis=1)
    rows[:, -1] = targets[:, -1]
    num_asked, fixed = 0, [dict(enumerate(b)) for b in data.fixed]
    for row in rows:
        facts = facts_of(np.maximum(row, 0))
        is_asked = row[-3] > 0
        num_asked += is_asked
        known = {A_TO_B: {}, B_TO_C: {}}
        shown = facts[:-1] if is_asked else facts
        for source, tag, target in shown:
            assert known[tag].setdefault(source, target) == target
        counts = [sum(tag == t for _, t, _ in shown) for tag in known]
        hides = [is_asked and place == "fixed" for place in (first, second)]
        assert counts == [0 if hidden else NUM_FACTS for hidden in hides]
        for place, pairs, own, start in zip(
            (first, second), known.values(), fixed, (1, 5), strict=True
        ):
            if place == "fixed":
                assert all(
                    own[a - start] == b - start - SIZE for a, b in pairs.items()
                )
        if is_asked:
            a, tag, c = facts[-1]
            assert tag == B_TO_C
            assert a - 1 not in data.held_out
            whole = dict(known[A_TO_B])
            if first == "fixed":
                whole = {1 + i: 5 + b for i, b in fixed[0].items()}
            rest = dict(known[B_TO_C])
            if second == "fixed":
                rest = {5 + i: 9 + b for i, b in fixed[1].items()}
            if whole.get(a) in rest:
                assert c == rest[whole[a]]
    assert num_asked == 100
    assert set(np.unique(targets[:, [*range(0, 38, 3), *range(2, 38, 3)]])) == {
        NOT_SCORED
    }


def test_what_is_known_of_a_bijection_by_hand():
    # 0 -> 2 is shown; 1 and 2 have 0 or 1.
    found = expect(np.array([[True, False, False]]), np.array([[2, 0, 1]]))
    expected = [[0, 0, 1], [0.5, 0.5, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(found[0], expected)


def test_losses_of_the_question_by_hand():
    # One fact of three symbols; B->C is known. A was shown with 1/3, else
    # one of two is left.
    assert question_loss(3, 1, "fresh", "fixed") == pytest.approx(2 / 3 * LOG2)
    assert question_loss(3, 1, "fixed", "fresh") == pytest.approx(2 / 3 * LOG2)
    assert question_loss(3, 1, "fixed", "fixed") == 0.0
    # Both fresh. A known (1/3): B is shown with 1/3 or costs log 2. Else two B
    # are left: the one that was shown is among them in 2 of 3 cases, and then
    # each has 1/2: log 2 for its C, log 4 for one of the two others. If it is
    # not among them, each of two C costs log 2.
    unknown = 2 / 3 * (0.5 * LOG2 + 0.5 * 2 * LOG2) + 1 / 3 * LOG2
    expected = 1 / 3 * 2 / 3 * LOG2 + 2 / 3 * unknown
    assert question_loss(3, 1) == pytest.approx(expected)


@pytest.mark.parametrize(("first", "second"), CELLS)
def test_losses_of_the_question_are_means_over_all_windows(first, second):
    size, num_facts = 3, 2
    bijections = np.array([*itertools.permutations(range(size))])
    facts = [*itertools.product(range(size), repeat=num_facts)]
    cases = [*itertools.product(facts, facts, bijections, bijections)]
    order = np.repeat([0, 1], num_facts)
    hidden = np.repeat([first == "fixed", second == "fixed"], num_facts)
    kinds = np.append(np.where(hidden, NONE, order), 2)
    sources = np.array([[*f, *g, 0] for f, g, _, _ in cases])
    slots = Slots(
        np.tile(kinds, (len(cases), 1)),
        sources,
        *(np.array([case[i] for case in cases]) for i in (2, 3)),
    )
    right = np.take_along_axis(slots.second, slots.first, axis=1)
    found = np.take_along_axis(slots.reader(), right[..., None], axis=2)
    assert question_loss(size, num_facts, first, second) == pytest.approx(
        -np.log(found).mean(), abs=1e-12
    )


def test_floors_by_hand():
    # One fact of each of two symbols, and all but one window in two ask.
    # Facts: log 2 each. A question: A known with 1/2, and B with 1/2, or
    # else known by elimination: never a loss.
    task = PromptTriangle(
        num_facts=1, num_symbols=2, num_held_out=0, windows_per_epoch=2
    )
    assert task.question_loss() == pytest.approx(0.0)
    # A window has two facts, and in one of two the question as well.
    assert task.floors(8)["inferred"] == pytest.approx(2 * LOG2 / 2.5)
    fixed = dataclasses.replace(task, first="fixed")
    # Facts alone: two answers, log 2 for B->C. Or one fact and a question.
    assert fixed.floors(8)["told"] == pytest.approx(LOG2 / 2)


def test_baselines_know_what_is_fixed():
    known = PromptTriangle("fixed", "fixed").baselines()["memoriser"]
    assert known == {"A->B": 1.0, "B->C": 1.0, "A->C": 13 / 16}
    known = PromptTriangle("fixed", "fresh").baselines()["memoriser"]
    assert known == {"A->B": 1.0, "B->C": 0.25, "A->C": 0.25}


class Composer:
    """Answers A->C as the facts of the prompt say, or else with a 9."""

    def answer(self, questions, target):
        found = []
        for row in questions:
            facts, asked = facts_of(row[:-2]), int(row[-2])
            known = {(source, tag): target for source, tag, target in facts}
            middle = known.get((asked, A_TO_B))
            found.append(known.get((middle, B_TO_C), 9))
        found = np.array(found)[:, None]
        probabilities = np.full((len(found), 1, 15), 0.01)
        np.put_along_axis(probabilities, found[..., None], 0.86, axis=2)
        return Answers(target, found, probabilities)


def test_every_a_is_asked_and_tiers_are_what_training_asked():
    data = draw()
    rows = data.exact_rows(Composer(), (6,), False, np.random.default_rng(0))
    found = {row[1:4:2]: row[4] for row in rows}
    assert found["seen_sentences", "num_words"] == 256 * 3
    assert found["unseen_sentences", "num_words"] == 256
    for tier in ("seen_sentences", "unseen_sentences"):
        own, reader = (
            found[tier, name]
            for name in ("accuracy_aligned", "accuracy_of_reader")
        )
        # Six facts show a symbol of four with 0.822, and both with 0.676; a
        # guess is right in a quarter of the rest: 0.757. The reader also knows
        # the one that is left where three were shown.
        assert own == pytest.approx(0.757, abs=0.1)
        assert own + 0.1 < reader < 1.0
    loss = -found["all_sentences", "log_probability_of_reader"]
    assert loss == pytest.approx(PromptTriangle().question_loss(), abs=0.1)


def test_questions_of_facts_stand_in_the_place_of_the_last_one():
    data = draw("fixed", "fresh")
    rng = np.random.default_rng(2)
    for mapping, tag, length in (
        ("A->B", A_TO_B, 36),
        ("B->C", B_TO_C, 36),
        ("A->C", B_TO_C, 39),
    ):
        questions, answers = data.sample_questions(mapping, 50, 6, rng)
        assert questions.shape[1] + 1 == length
        assert (questions[:, -1] == tag).all()
        is_a = questions[:, -2] <= SIZE
        assert is_a.all() == (mapping != "B->C")
        is_b = answers <= 2 * SIZE
        assert is_b.all() == (mapping == "A->B")
        if mapping == "A->B":
            known = data.fixed[0][questions[:, -2] - 1] + 5
            np.testing.assert_array_equal(answers[:, 0], known)
        counts = [
            sum(t == A_TO_B for _, t, _ in facts_of(row))
            for row in np.concatenate([questions, answers], axis=1)
        ]
        assert set(counts) == ({0} if mapping == "A->C" else {NUM_FACTS})


def test_one_seed_has_the_same_fixed_bijections_in_each_cell():
    drawn = [draw(*cell) for cell in CELLS]
    for data in drawn[1:]:
        np.testing.assert_array_equal(data.fixed, drawn[0].fixed)
        np.testing.assert_array_equal(data.held_out, drawn[0].held_out)
    assert set(drawn[0].windows()) == set(MAPPINGS)
    assert (
        not set(vars(Data))
        - set(dir(drawn[0]))
        - set(vars(object))
        - {name for name in vars(Data) if name.startswith("_")}
    )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"first": "new"}, "first"),
        ({"num_held_out": 4}, "An A is left"),
        ({"asked_share": 1.0}, "Some windows ask"),
        ({"num_facts": 0}, "num_facts"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        PromptTriangle(**changes)


def test_prompts_that_are_not_those_of_training_are_refused():
    config = EvaluationConfig("cached", 8, 6, 0, exact_demonstrations=(6,))
    PromptTriangle().check(38, config)
    with pytest.raises(ValueError, match="39 tokens"):
        PromptTriangle().check(39, config)
    for number in (5, 7):
        other = dataclasses.replace(config, exact_demonstrations=(number,))
        with pytest.raises(ValueError, match="those of training"):
            PromptTriangle().check(38, other)
