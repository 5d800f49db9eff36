"""Tests for tiny_gpt/tasks/arithmetic: what is read, asked and scored."""

import numpy as np
import pytest

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, NOT_SCORED, OTHERS
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import Answers
from tiny_gpt.tasks.arithmetic.tables import ARGUMENTS
from tiny_gpt.tasks.arithmetic.task import VARIANTS, Arithmetic

BESIDE = tuple(VARIANTS)
AS_READ = ("real", "bridge")


def draw(variant="real", seed=0, **fields):
    task = Arithmetic(
        **{"num_shown": 8, "modulus": 5, **fields}, variant=variant
    )
    length = len(ARGUMENTS[task.operation]) + 2
    return task.draw(length, np.random.default_rng(seed))[0]


def answers_of(data, label):
    """Returns the answer to each question, by its arguments."""
    table = data.tables[label]
    keys = map(tuple, table.questions[:, 1:-1].tolist())
    return dict(zip(keys, table.answers.tolist(), strict=True))


def composed(data):
    f, g = answers_of(data, "f"), answers_of(data, "g")
    return {key: g[value,] for key, value in f.items()}


@pytest.mark.parametrize("operation", ARGUMENTS)
def test_h_is_g_of_f_but_in_controls(operation):
    for variant in ("real", "scrambled", "no_f", "bridge"):
        data = draw(variant, operation=operation)
        h = answers_of(data, "h")
        same = [h[key] == value for key, value in composed(data).items()]
        if variant in AS_READ:
            assert all(same)
        elif variant == "scrambled":
            assert not any(same)
            assert composed(data) == dict(zip(h, data.composed, strict=True))
        else:
            assert np.mean(same) < 0.6


@pytest.mark.parametrize("operation", ["add", "sum_times"])
def test_h_and_its_rows_are_the_same_in_all_variants(operation):
    first, *others = (draw(v, operation=operation).tables for v in BESIDE)
    for other in others:
        for name in ("questions", "answers", "read"):
            np.testing.assert_array_equal(
                getattr(other["h"], name), getattr(first["h"], name)
            )
    more = draw("alone", num_shown=12, operation=operation).tables["h"]
    assert set(first["h"].read) < set(more.read)
    another = draw("alone", seed=1, operation=operation).tables["h"]
    assert set(another.read) != set(first["h"].read)


def test_identity_rows_repeat_the_answers_of_f():
    data = draw("bridge", operation="multiply")
    identity = answers_of(data, "identity")
    assert identity == {(a,): a for a in answers_of(data, "f").values()}


@pytest.mark.parametrize("variant", BESIDE)
@pytest.mark.parametrize("operation", ARGUMENTS)
def test_half_of_the_windows_are_of_h(variant, operation):
    data = draw(variant, operation=operation)
    num_rows = len(data.tables["h"].answers)
    assert data.inputs.shape == data.targets.shape == data.shape
    assert data.shape[0] == 4 * num_rows
    windows = data.windows()
    assert len(windows["h"].inputs) == 2 * num_rows
    counts = {k: len(w.inputs) for k, w in windows.items() if k != "h"}
    # In quarters of 2 n; half of a quarter goes down or up.
    for label, quarters in VARIANTS[variant].items():
        assert abs(counts[label] - quarters * num_rows / 2) <= 0.5
    if variant != "alone":
        assert sum(counts.values()) == 2 * num_rows
    for label, table in data.tables.items():
        shown = 8 if label == "h" else len(table.answers)
        repeats = np.bincount(table.read)
        assert (repeats > 0).sum() == min(shown, len(table.read))
        assert np.ptp(repeats[repeats > 0]) <= 1


@pytest.mark.parametrize("variant", BESIDE)
def test_answers_alone_are_scored(variant):
    data = draw(variant)
    is_scored = data.targets != NOT_SCORED
    is_empty = (data.inputs == 0).all(axis=1)
    np.testing.assert_array_equal(is_scored.sum(axis=1), ~is_empty)
    assert is_empty.sum() == (50 if variant == "alone" else 0)
    # `g x =` is one token shorter than `f x y =`.
    equals = 1 + 5 + 4
    assert (data.inputs[is_scored] == equals).all()
    for windows in data.windows().values():
        np.testing.assert_array_equal(
            windows.inputs[:, 1:], windows.targets[:, :-1]
        )
        assert (windows.targets[windows.kinds == OTHERS] == 0).all()
        assert (windows.targets[windows.kinds == ANSWER] > 0).all()
        is_between = windows.kinds == BETWEEN
        np.testing.assert_array_equal(is_between, windows.targets == equals)


def test_h_can_be_left_out():
    data = draw(num_shown=0)
    assert list(data.windows()) == ["f", "g"]
    assert Arithmetic(num_shown=0).read_mappings == ("f", "g")
    assert (data.targets != NOT_SCORED).sum() == 2 * 25
    assert list(data.tables) == ["f", "g", "h"]


class Reader:
    """Answers rows of h by a function of the question."""

    def __init__(self, answer):
        self._answer = answer

    def answer(self, questions, target):
        greedy = np.array([self._answer(q) for q in questions.tolist()])
        probabilities = np.eye(11)[greedy][:, None]
        return Answers(target, greedy[:, None], probabilities)


def scores(data, answer):
    rows = data.exact_rows(Reader(answer), (0,), False, None)
    assert {row[2] for row in rows} == {"0_demonstrations"}
    return {(label, tier, name): x for label, tier, _, name, x in rows}


def by_route(data):
    tables = {8: composed(data)}  # the sign of h
    for sign, label in ((6, "f"), (7, "g")):
        tables[sign] = answers_of(data, label)
    return lambda q: tables[q[0]][tuple(q[1:-1])]


def test_rows_are_sorted_into_tiers():
    found = scores(draw(), by_route(draw()))
    sizes = {k[:2]: v for k, v in found.items() if k[2] == "num_words"}
    assert sizes == {
        ("f", "all_sentences"): 25,
        ("f", "seen_sentences"): 25,
        ("g", "all_sentences"): 5,
        ("g", "seen_sentences"): 5,
        ("h", "all_sentences"): 25,
        ("h", "seen_sentences"): 8,
        ("h", "unseen_sentences"): 17,
    }
    right = [v for k, v in found.items() if k[2] == "accuracy_aligned"]
    assert right == [1.0] * len(sizes)
    assert ("h", "all_sentences", "error_composed_word") not in found


def test_who_composes_is_always_wrong_where_g_disagrees():
    data = draw("scrambled")
    found = scores(data, by_route(data))
    for tier in ("seen_sentences", "unseen_sentences"):
        assert found["h", tier, "accuracy_aligned"] == 0.0
        assert found["h", tier, "error_composed_word"] == 1.0
    at = "seen_sentences", "accuracy_aligned"
    assert found["f", *at] == found["g", *at] == 1.0


def reuse(data, rng):
    """Returns the accuracy on unseen rows of who re-uses f."""
    table, f = data.tables["h"], data.tables["f"].answers
    known = dict(zip(f[table.read], table.answers[table.read], strict=True))
    left = sorted(set(data.candidates) - set(known.values()))
    unseen = np.setdiff1d(np.arange(len(f)), table.read)
    return np.mean(
        [
            known.get(f[row], rng.choice(left) if left else 0)
            == table.answers[row]
            for row in unseen
        ]
    )


@pytest.mark.parametrize("operation", ["add", "divide", "sum_times"])
def test_the_baseline_of_reuse_is_what_a_reader_of_f_reaches(operation):
    fields = {"num_shown": 5, "operation": operation}
    rng = np.random.default_rng(0)
    found = [reuse(draw(seed=s, **fields), rng) for s in range(400)]
    task = Arithmetic(modulus=5, **fields)
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - task.reuse_on_unseen) < 4 * error
    assert error < 0.02


def test_baselines_by_hand():
    # 8 of 25 rows of h, and a guess among 5 numbers for the others.
    memoriser = 8 / 25 + 17 / 25 / 5
    for variant in BESIDE:
        task = Arithmetic(8, 5, variant=variant)
        found = task.baselines()
        assert set(found["chance"].values()) == {1 / 5}
        assert found["memoriser"]["h"] == pytest.approx(memoriser)
        assert ("reuse" in found) == (variant not in ("no_f", "alone"))
        assert ("route" in found) == (variant in AS_READ)
        for by_mapping in found.values():
            assert tuple(by_mapping) == task.eval_mappings
    assert Arithmetic(8, 5).baselines()["route"]["h"] == pytest.approx(1.0)
    # 12 numbers from 1 on.
    task = Arithmetic(operation="multiply")
    assert task.baselines()["chance"]["h"] == 1 / 12
    assert Arithmetic(169).reuse_on_unseen == 1.0
    assert task.floors(4) == {"told": 0.0, "inferred": 0.0}


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"modulus": 12}, "must be a prime"),
        ({"modulus": 2}, "`modulus` must be at least 3"),
        ({"num_shown": 170}, "h has 169 rows"),
        ({"num_shown": -1}, "`num_shown` must be at least 0"),
        ({"operation": "power"}, "`operation` must be one of"),
        ({"variant": "real_f"}, "`variant` must be one of"),
    ],
)
def test_another_task_is_refused(fields, rule):
    with pytest.raises(ValueError, match=rf"{rule}.*\n?.*Received: "):
        Arithmetic(**fields)


@pytest.mark.parametrize(
    ("length", "changes", "rule"),
    [
        (5, {}, "'add' need `sequence_length` 4"),
        (4, {"num_demonstrations": 1}, "stands alone"),
        (4, {"exact_demonstrations": (0, 2)}, "stands alone"),
        (4, {"decoding": "published"}, "stands alone"),
    ],
)
def test_questions_that_do_not_fit_are_refused(length, changes, rule):
    fields = {
        "decoding": "cached",
        "num_demonstrations": 0,
        "exact_demonstrations": (0,),
    }
    Arithmetic().check(4, EvaluationConfig(**fields))
    with pytest.raises(ValueError, match=rule):
        Arithmetic().check(length, EvaluationConfig(**{**fields, **changes}))
