"""Tests for tiny_gpt/models/spans.py."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.spans import LATER, PROMPT, QUESTIONS, visible
from tiny_gpt.models.attention import CausalSelfAttention
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.spans import check_answer, sees_next
from tiny_gpt.models.stepwise import spans_of

CONFIG = GPTConfig(sequence_length=16, num_layers=1, num_heads=1, head_dim=2)


@pytest.mark.parametrize("spans", [(), PROMPT, QUESTIONS, LATER])
def test_who_sees_the_next_position_by_definition(spans):
    seen = visible(spans, 16, 17)
    expected = [seen[t, t + 1] for t in range(16)]
    np.testing.assert_array_equal(sees_next(spans, 16), expected)


@pytest.mark.parametrize(
    ("spans", "num_prompt", "num_tokens"),
    [
        (PROMPT, 1, 4),
        (PROMPT, 11, 4),
        (QUESTIONS, 3, 1),
        (QUESTIONS, 9, 2),
        (QUESTIONS, 4, 6),  # two words of the answer lie in the next span
        (LATER, 7, 2),
    ],
)
def test_an_answer_that_a_span_shows_is_refused(spans, num_prompt, num_tokens):
    with pytest.raises(ValueError, match=r"one bidirectional span.*Received"):
        check_answer(spans, num_prompt, num_tokens)
    # It is at fault: some token is visible to the position that predicts it.
    seen = visible(spans, 16, 16)
    places = range(num_prompt, num_prompt + num_tokens)
    assert any(seen[place - 1, place] for place in places)


@pytest.mark.parametrize(
    ("spans", "num_prompt", "num_tokens"),
    [
        ((), 5, 4),
        (PROMPT, 12, 4),
        (QUESTIONS, 4, 5),  # the last is predicted before the next span
        (QUESTIONS, 8, 1),
        (QUESTIONS, 12, 4),
        (LATER, 1, 2),
        (LATER, 8, 6),
    ],
)
def test_other_answers_are_not_refused(spans, num_prompt, num_tokens):
    check_answer(spans, num_prompt, num_tokens)
    seen = visible(spans, 16, 16)
    places = range(num_prompt, num_prompt + num_tokens)
    assert not any(seen[place - 1, place] for place in places)


@pytest.mark.parametrize(
    "spans",
    [
        ((0, 1),),
        ((3, 3),),
        ((-1, 3),),
        ((0, 17),),
        ((0, 4), (3, 8)),
        ((4, 8), (0, 3)),
        ((0, 2, 4),),
        ((0.0, 2.0),),
        ((0, 4), 8),
        [(0, 4)],
        "0-4",
    ],
)
def test_impossible_spans_are_refused(spans):
    with pytest.raises(ValueError, match=r"`bidirectional` .*Received"):
        dataclasses.replace(CONFIG, bidirectional=spans)


def test_spans_may_touch_and_end_with_the_window():
    spans = (0, 4), (4, 6), (14, 16)
    config = dataclasses.replace(CONFIG, bidirectional=spans)
    assert spans_of(config.build()) == spans
    with pytest.raises(ValueError, match=r"`bidirectional` .*Received"):
        CausalSelfAttention(2, 3, bidirectional=((0, 4), (2, 6)))
