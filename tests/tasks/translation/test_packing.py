"""Windows of whole pairs, and the targets in the loss."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY, with_task
from tiny_gpt.evaluation.data import ANSWER, BETWEEN, NOT_SCORED, SOURCE
from tiny_gpt.experiment import config_of, has_unscored_targets, loss_floor
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.tasks.translation.data import scored_targets
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.tasks.translation.task_checks import SCORED
from tiny_gpt.tasks.translation.vocabulary import tokens_per_pair
from tiny_gpt.tasks.translation.windows import pack_pairs, tokens_per_window

# Pairs `w w . v v |`, of 6 words. 5 and 2 of them: in windows of 20 tokens,
# three pairs each, the second window has pairs of both mappings.
MIXTURE = Mixture(
    (Component("A->B", 5), Component("B->C", 0), Component("A->C", 2)),
    alphabet_size=4,
    sentence_length=2,
)
CHAINED = ("A->B", "B->C")
TASK = Translation(
    MIXTURE, ("A->B", "A->C"), tokens="words", window_packing="pairs"
)


def build(window_packing="pairs", kind="words", length=20, **options):
    rng = np.random.default_rng(0)
    return build_stream(
        MIXTURE, kind, length, rng, window_packing=window_packing, **options
    )


def mixture_of(*labels, **changes):
    components = tuple(Component(label, 6) for label in labels)
    return dataclasses.replace(MIXTURE, components=components, **changes)


def rows_of(stream):
    return np.concatenate([stream.inputs[:, :1], stream.targets], axis=1)


def data_of(scored, length=20, **changes):
    task = dataclasses.replace(TASK, scored=scored, **changes)
    (data,) = task.draw(length, np.random.default_rng(0))
    return data


# Windows.


def test_windows_by_hand():
    # Five pairs of 3 tokens in windows of 7: two pairs, and padding.
    inputs, targets = pack_pairs(np.arange(1, 16, dtype="int32"), 7, 3)
    np.testing.assert_array_equal(
        inputs,
        [
            [1, 2, 3, 4, 5, 6, 0],
            [7, 8, 9, 10, 11, 12, 0],
            [13, 14, 15, 0, 0, 0, 0],
        ],
    )
    np.testing.assert_array_equal(
        targets,
        [
            [2, 3, 4, 5, 6, 0, 0],
            [8, 9, 10, 11, 12, 0, 0],
            [14, 15, 0, 0, 0, 0, 0],
        ],
    )
    assert inputs.dtype == targets.dtype == "int32"


def test_pairs_that_fill_a_window_leave_one_target_of_padding():
    # The model reads T tokens, and predicts what comes after the last.
    inputs, targets = pack_pairs(np.arange(1, 7), 6, 3)
    np.testing.assert_array_equal(inputs, [[1, 2, 3, 4, 5, 6]])
    np.testing.assert_array_equal(targets, [[2, 3, 4, 5, 6, 0]])


@pytest.mark.parametrize(
    ("window_packing", "length", "tokens"),
    [("stream", 30, 31), ("pairs", 30, 30), ("pairs", 39, 30)],
)
def test_a_window_holds_so_many_tokens(window_packing, length, tokens):
    assert tokens_per_window(window_packing, length, 10) == tokens


@pytest.mark.parametrize("has_target_tag", [False, True])
@pytest.mark.parametrize("kind", ["words", "characters"])
def test_the_pairs_are_those_of_the_stream_in_the_same_order(
    kind, has_target_tag
):
    tag = {"has_target_tag": has_target_tag}
    num_tokens = tokens_per_pair(MIXTURE, kind, has_target_tag)
    length = 3 * num_tokens + 2
    packed, cut = (
        build(packing, kind, length, **tag) for packing in ("pairs", "stream")
    )
    rows = rows_of(packed)
    assert rows.shape == (3, length + 1)
    assert (rows[:, 3 * num_tokens :] == 0).all()
    assert (rows[-1, num_tokens:] == 0).all()  # 7 = 3 + 3 + 1
    found = rows[rows > 0]
    np.testing.assert_array_equal(found, rows_of(cut)[rows_of(cut) > 0])
    end = packed.vocabulary.tokens.index("|")
    pairs = found.reshape(7, num_tokens)
    assert (pairs[:, -1] == end).all()
    assert (pairs[:, :-1] != end).all()


def test_components_and_places_of_targets():
    stream = build()
    one, pad = np.arange(6), np.full(3, -1)
    row = np.concatenate([one, one, one, pad])[1:]
    last = np.concatenate([one, np.full(15, -1)])[1:]
    np.testing.assert_array_equal(stream.places, [row, row, last])
    of_pairs = np.repeat([[0, 0, 0], [0, 0, 2]], 6, axis=1)
    padded = np.concatenate([of_pairs, [pad, pad]], axis=1)[:, 1:]
    np.testing.assert_array_equal(stream.components[:2], padded)
    np.testing.assert_array_equal(
        stream.components[2], np.where(last < 0, -1, 2)
    )


@pytest.mark.parametrize("length", [6, 12, 17, 18, 20, 42, 60])
def test_windows_are_counted_before_they_are_drawn(length):
    data = data_of("all", length)
    number = math.ceil(7 / (length // 6))
    assert TASK.num_windows(length) == (number,)
    assert data.inputs.shape == data.targets.shape == (number, length)


@pytest.mark.parametrize("label", ["A->B", "A->C"])
def test_fresh_windows_are_full_and_of_one_mapping(label):
    data = data_of("answers")
    fresh = data.fresh_windows(label, 5, np.random.default_rng(1))
    assert fresh.inputs.shape == fresh.targets.shape == (5, 20)
    kinds = [SOURCE] * 2 + [BETWEEN] + [ANSWER] * 2 + [BETWEEN]
    row = np.array([*kinds * 3, -1, -1, -1])[1:]
    np.testing.assert_array_equal(fresh.kinds, np.tile(row, (5, 1)))
    stream = dataclasses.replace(
        data.stream, inputs=fresh.inputs, targets=fresh.targets
    )
    pairs = rows_of(stream)[:, :18].reshape(15, 6)
    mapping, vocabulary = data.stream.mapping(label), data.stream.vocabulary
    first = vocabulary.ids(mapping.source, np.zeros(1, int))  # ids are in order
    np.testing.assert_array_equal(
        vocabulary.encode_pairs(mapping, pairs[:, :2] - first), pairs
    )


def test_both_phases_are_packed():
    # 40 pairs and then 4, 10 times each, three a window: 14 windows.
    experiment = with_task(PRETRAINED, window_packing="pairs")
    assert experiment.task.num_windows(20) == (14, 14)
    first, then = experiment.task.draw(20, np.random.default_rng(0))
    assert first.inputs.shape == then.inputs.shape == (14, 20)


# Targets in the loss.


def targets_by_hand(scored, length):
    """Which tokens of rows are targets in the loss, of `w w . v v |`."""
    question, answer, end = [0, 0, 0], [1, 1], [0]
    whole = {
        "all": [[1] * 6] * 3,
        "answers": [question + answer + end] * 3,
        "last_answer": [[0] * 6, [0] * 6, question + answer + end],
    }[scored]
    full = np.zeros(length + 1, bool)
    full[:18] = [*whole[0], *whole[1], *whole[2]]
    last = full & (np.arange(length + 1) < 6)  # one pair: it is not the third
    return np.array([full, full, last])[:, 1:]


@pytest.mark.parametrize("length", [18, 20, 23])
@pytest.mark.parametrize("scored", SCORED)
def test_targets_in_the_loss_by_hand(scored, length):
    data = data_of(scored, length)
    is_scored = targets_by_hand(scored, length)
    np.testing.assert_array_equal(data.targets != NOT_SCORED, is_scored)
    np.testing.assert_array_equal(
        data.targets[is_scored], data.stream.targets[is_scored]
    )
    inputs, targets = data.recut(np.random.default_rng(0))
    np.testing.assert_array_equal(inputs, data.inputs)
    np.testing.assert_array_equal(targets, data.targets)
    assert data.targets.dtype == data.stream.targets.dtype


@pytest.mark.parametrize("kind", ["words", "characters"])
@pytest.mark.parametrize("has_target_tag", [False, True])
def test_answers_are_the_words_of_the_target_language(kind, has_target_tag):
    num_tokens = tokens_per_pair(MIXTURE, kind, has_target_tag)
    data = data_of(
        "answers",
        3 * num_tokens,
        tokens=kind,
        has_target_tag=has_target_tag,
        mixture=mixture_of("A->B"),
        eval_mappings=("A->B",),
    )
    words = data.stream.vocabulary.ids(data.stream.languages["B"], np.arange(4))
    is_word = np.isin(data.stream.targets, words)
    if kind == "characters":  # the space mark before a word counts with it
        is_word[:, :-1] |= is_word[:, 1:]
    np.testing.assert_array_equal(data.targets != NOT_SCORED, is_word)
    assert is_word.sum() == 6 * 2 * data.tokens_per_word


def test_a_stream_counts_whole_as_published():
    stream = build("stream")
    assert scored_targets(stream, "all") is stream.targets
    (data,) = TINY.task.draw(20, np.random.default_rng(0))
    assert (data.targets == 0).any()  # padding
    assert not has_unscored_targets(TINY)


@pytest.mark.parametrize("scored", SCORED)
def test_losses_by_mapping_read_all_targets(scored):
    data = data_of(scored)
    for windows in data.windows().values():
        assert (windows.targets != NOT_SCORED).all()
    a_to_c = data.windows()["A->C"]
    np.testing.assert_array_equal(a_to_c.targets, data.stream.targets[1:])
    assert (a_to_c.kinds == ANSWER).sum() == 2 * 2


@pytest.mark.parametrize("scored", SCORED)
def test_no_floor_is_known_of_whole_pairs(scored):
    task = dataclasses.replace(TASK, scored=scored)
    assert task.floors(20) == {}
    assert task.has_unscored_targets
    with pytest.raises(ValueError, match="window_packing='pairs'"):
        task.packing(20)
    experiment = with_task(TINY, window_packing="pairs", scored=scored)
    assert math.isnan(loss_floor(experiment))


def test_a_config_without_them_stays_as_it_was():
    config = config_of(TINY)
    for name in ("window_packing", "scored"):
        assert name not in config
    assert "bidirectional" not in config["model"]
    changed = [
        with_task(TINY, window_packing="pairs"),
        with_task(TINY, window_packing="pairs", scored="answers"),
        with_task(TINY, window_packing="pairs", scored="last_answer"),
        dataclasses.replace(
            TINY, model=dataclasses.replace(TINY.model, bidirectional=((0, 3),))
        ),
    ]
    assert config_of(changed[1])["window_packing"] == "pairs"
    assert config_of(changed[1])["scored"] == "answers"
    assert config_of(changed[3])["model"]["bidirectional"] == ((0, 3),)
    keys = {key_of(content_of(e, "float32")) for e in (TINY, *changed)}
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"window_packing": "whole"}, "window_packing='whole'"),
        ({"scored": "words"}, "scored='words'"),
        ({"scored": "answers", "window_packing": "stream"}, "A stream is"),
        ({"scored": "last_answer", "window_packing": "stream"}, "A stream is"),
        ({"rotates": True}, "rotates=True"),
        ({"eval_mappings": ("A->B->C",)}, r"chains=\['A->B->C'\]"),
        ({"mixture": mixture_of("A->B->C")}, r"chains=\['A->B->C'\]"),
        (
            {"mixture": mixture_of(*CHAINED, together=CHAINED)},
            r"together=\('A->B', 'B->C'\)",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(TASK, **changes)


def test_a_window_shorter_than_a_pair_is_refused():
    packed = with_task(TINY, window_packing="pairs")
    short = dataclasses.replace(TINY.model, sequence_length=5)
    evaluation = dataclasses.replace(
        TINY.evaluation, num_demonstrations=0, exact_demonstrations=()
    )
    dataclasses.replace(TINY, model=short, evaluation=evaluation)
    with pytest.raises(ValueError, match="sequence_length=5 for pairs of 6"):
        dataclasses.replace(packed, model=short, evaluation=evaluation)
