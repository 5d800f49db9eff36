"""Tests for tiny_gpt/tasks/in_context/: windows, readers, floors."""

import dataclasses
import math

import numpy as np
import pytest

from tiny_gpt.evaluation.data import ANSWER, NOT_SCORED, CutAnew, Data
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import Answers
from tiny_gpt.evaluation.parts import InParts
from tiny_gpt.tasks.in_context.questions import exact_rows, flipped_prompts
from tiny_gpt.tasks.in_context.task import InContext

SMALL = InContext(num_pairs=6, num_symbols=4, windows_per_epoch=400)
MIXED = dataclasses.replace(SMALL, pool_size=3, fixed_share=0.25)


def draw(task, seed=0):
    length = 2 * task.num_pairs - 1
    (data,) = task.draw(length, np.random.default_rng(seed))
    return data


def pairs_of(rows, size):
    """Returns the x and y of tokens `x y x y ...`."""
    return rows[:, ::2] - 1, rows[:, 1::2] - 1 - size


def bijections_of(rows, size):
    """Returns each window's bijection, -1 where x is not shown."""
    x, y = pairs_of(rows, size)
    found = np.full((len(rows), size), -1)
    np.put_along_axis(found, x, y, axis=1)
    assert (np.take_along_axis(found, x, axis=1) == y).all()
    return found


def test_a_window_has_one_bijection_and_its_answers_are_scored():
    data = draw(SMALL)
    assert isinstance(data, CutAnew)
    assert isinstance(data, InParts)
    rows = np.concatenate([data.inputs[:, :1], data.rows[:, 1:]], axis=1)
    x, y = pairs_of(rows, 4)
    assert set(x.ravel()) == set(y.ravel()) == set(range(4))
    for shown in bijections_of(rows, 4):
        images = shown[shown >= 0]
        assert len(set(images)) == len(images)
    # After x its y; after y an x, which nothing foretells.
    np.testing.assert_array_equal(data.targets[:, ::2], 1 + 4 + y)
    assert (data.targets[:, 1::2] == NOT_SCORED).all()
    every = dataclasses.replace(data, scored="all")
    np.testing.assert_array_equal(every.targets, rows[:, 1:])


def test_mappings_have_their_shares_and_bijections():
    data = draw(MIXED)
    source = data.source
    own = {
        "fixed": {tuple(source.everything[source.fixed])},
        "pool": {tuple(source.everything[i]) for i in source.pool},
    }
    assert MIXED.read_mappings == ("fixed", "pool")
    assert MIXED.eval_mappings == ("fixed", "pool", "fresh")
    windows = data.windows()
    # Of 400 windows 100 are expected, give or take 5 deviations of 8.7.
    assert 56 < len(windows["fixed"].inputs) < 144
    assert sum(len(w.inputs) for w in windows.values()) == 400
    rng = np.random.default_rng(1)
    for mapping in MIXED.eval_mappings:
        fresh = data.fresh_windows(mapping, 100, rng)
        rows = np.concatenate([fresh.inputs[:, :1], fresh.targets], axis=1)
        for shown in bijections_of(rows, 4):
            fits = {
                kind
                for kind, known in own.items()
                for each in known
                if all(a in (-1, b) for a, b in zip(shown, each, strict=True))
            }
            if mapping != "fresh":
                assert mapping in fits
            elif (shown >= 0).all():  # three images give the fourth
                assert not fits
        assert (fresh.kinds == windows["fixed"].kinds[0]).all()
        assert fresh.kinds[0, ::2].tolist() == [ANSWER] * 6


def test_epochs_are_drawn_anew_from_the_same_bijections():
    data = draw(MIXED)
    rng = np.random.default_rng(2)
    (first, targets), (second, _) = data.recut(rng), data.recut(rng)
    assert first.shape == second.shape == data.inputs.shape
    assert (first != second).any()
    assert (targets[:, 1::2] == NOT_SCORED).all()
    known = {tuple(b) for b in data.source.everything[data.source.pool]}
    known.add(tuple(data.source.everything[data.source.fixed]))
    rows = np.concatenate([first, targets[:, -1:]], axis=1)
    whole = bijections_of(rows, 4)
    assert {tuple(b) for b in whole if (b >= 0).all()} == known


def test_one_seed_has_one_fixed_bijection_and_growing_pools():
    small, large = (
        draw(dataclasses.replace(SMALL, pool_size=k)).source for k in (3, 9)
    )
    assert small.fixed == large.fixed == draw(SMALL).source.fixed
    np.testing.assert_array_equal(small.pool, large.pool[:3])
    assert len(set(large.pool)) == 9
    assert draw(MIXED, seed=5).source.pool.tolist() != small.pool.tolist()


def test_parts_are_the_positions_after_some_pairs():
    task = dataclasses.replace(InContext(fixed_share=0.5), windows_per_epoch=4)
    assert task.measured == (0, 1, 3, 7, 15)
    assert SMALL.measured == (0, 1, 3, 5)
    assert "fresh_7_nats_above_prior" in task.part_columns
    # Fresh windows alone have one reader, and a pool excludes fresh ones.
    assert "fresh_1_nats_above_prior" not in SMALL.part_columns
    assert "fresh_1_nats_above_prior" not in MIXED.part_columns
    parts = draw(MIXED).parts(50, np.random.default_rng(0))
    assert set(parts.masks) == set(MIXED.part_columns)
    mask = parts.masks["pool_3_nats_above_all"]
    assert mask.sum() == 50
    assert mask[50:100, 6].all()  # the fourth answer, of the second mapping


def test_floors_of_parts_are_the_readers_losses():
    parts = draw(MIXED).parts(4000, np.random.default_rng(0))
    floors = parts.floors
    assert all(math.isfinite(x) and x >= 0 for x in floors.values())
    # First answer: the reader of all knows nothing; the other one gives the
    # fixed bijection 1/4 and each of the pool 1/4.
    assert floors["pool_0_nats_above_all"] == pytest.approx(math.log(4))
    assert floors["fixed_0_nats_above_prior"] <= math.log(4)
    # Means over windows approach the closed form, here of one pool.
    found = draw(SMALL).parts(4000, np.random.default_rng(0)).floors
    for k in SMALL.measured:
        assert found[f"fresh_{k}_nats_above_all"] == pytest.approx(
            SMALL.losses()[k], abs=0.03
        )


def test_floors_are_means_over_the_targets_in_the_loss():
    # Pairs of two symbols: log 2 at first; the second x is new with 1/2, and
    # then known by elimination.
    task = InContext(num_pairs=2, num_symbols=2)
    floor = math.log(2) / 2
    assert task.floors(3) == pytest.approx({"told": floor, "inferred": floor})
    every = dataclasses.replace(task, scored="all")
    # y, x, y: the x costs log 2 as well.
    assert every.floors(3)["inferred"] == pytest.approx(2 * math.log(2) / 3)
    # The fixed one in half of the windows: 3/4 of first answers are its own.
    half = dataclasses.replace(task, fixed_share=0.5)
    first = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert half.floors(3) == pytest.approx(
        {"told": floor / 2, "inferred": first / 2}
    )


def test_baselines_take_no_notice_of_the_prompt():
    # Another bijection agrees at one x with probability (6 - 1) / (24 - 1).
    other = 5 / 23
    expected = {"fixed": 1.0, "pool": (1 + 2 * other) / 3, "fresh": other}
    assert MIXED.baselines()["memoriser"] == pytest.approx(expected)
    assert MIXED.baselines()["chance"] == dict.fromkeys(expected, 0.25)
    assert SMALL.baselines()["memoriser"] == {"fresh": 0.25}


class Reader:
    """Answers as the prompt, or else as the first symbol y."""

    def answer(self, questions, target):
        found = np.full(len(questions), 1 + 4)
        for i in range(0, questions.shape[1] - 1, 2):
            is_shown = questions[:, i] == questions[:, -1]
            found = np.where(is_shown, questions[:, i + 1], found)
        probabilities = np.full((len(questions), 1, 9), 0.01)
        np.put_along_axis(probabilities, found[:, None, None], 0.92, axis=2)
        return Answers(target, found[:, None], probabilities)


def test_tiers_are_what_the_prompt_shows():
    data = draw(dataclasses.replace(SMALL, fixed_share=0.5))
    rng = np.random.default_rng(3)
    rows = exact_rows(data.source, Reader(), data.eval_mappings, (0, 3), rng)
    found = {row[:4]: row[4] for row in rows}
    three = "3_demonstrations"
    for mapping in data.eval_mappings:
        scores = {
            tier: found[mapping, tier, three, "accuracy_aligned"]
            for tier in ("seen_sentences", "unseen_sentences")
        }
        assert scores["seen_sentences"] == 1.0
        # A symbol that was not shown: one of two to four is left.
        assert scores["unseen_sentences"] < 0.6
        count = mapping, "all_sentences", three, "num_words"
        assert found[count] == 128 * 4
        # Before any pair nothing is seen.
        assert (mapping, "seen_sentences", "0_demonstrations", "rank") not in (
            found
        )
    flipped = "fixed", "all_sentences", f"{three}_of_flipped"
    assert found[*flipped, "answer_of_prompt"] == 1.0
    assert found[*flipped, "answer_of_weights"] == 0.0


def test_a_flipped_prompt_exchanges_two_answers_and_shows_the_one_asked():
    source = draw(dataclasses.replace(SMALL, fixed_share=0.5)).source
    fixed = source.everything[source.fixed]
    rng = np.random.default_rng(4)
    tokens, of_weights = flipped_prompts(source, 300, 5, rng)
    x, y = pairs_of(tokens, 4)
    np.testing.assert_array_equal(of_weights - 1 - 4, fixed[x[:, -1]])
    assert (y[:, -1] != fixed[x[:, -1]]).all()
    assert (x[:, :-1] == x[:, -1:]).any(axis=1).all()
    for shown in bijections_of(tokens, 4):
        differs = [i for i in range(4) if shown[i] not in (-1, fixed[i])]
        assert len(differs) <= 2
        images = shown[shown >= 0]
        assert len(set(images)) == len(images)
    assert len({*x[:, -1]}) == 4  # any symbol is asked


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_symbols": 9}, "of 8 symbols at most"),
        ({"num_symbols": 3, "pool_size": 5}, "outside the pool"),
        ({"fixed_share": 1.0}, r"lie in \[0, 1\)"),
        ({"num_pairs": 1}, "num_pairs"),
        ({"pool_size": -1}, "pool_size"),
        ({"scored": "x"}, "scored"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        InContext(**changes)


def test_questions_that_do_not_fit_are_refused():
    config = EvaluationConfig("cached", 8, 5, 0, exact_demonstrations=(5,))
    SMALL.check(11, config)
    with pytest.raises(ValueError, match="hold `num_pairs` pairs"):
        SMALL.check(12, config)
    for changes in (
        {"num_demonstrations": 6},
        {"exact_demonstrations": (6,)},
        {"is_asked_after_others": True},
    ):
        with pytest.raises(ValueError, match="fewer pairs than a window"):
            SMALL.check(11, dataclasses.replace(config, **changes))


def test_the_data_follow_the_protocol():
    missing = set(vars(Data)) - set(dir(draw(SMALL)))
    assert not {name for name in missing if not name.startswith("_")}
