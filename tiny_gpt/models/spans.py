"""Spans: positions that see each other, as in a prefix language model.

A causal position sees those up to it. Within a span, from `start` to before
`end`, it also sees those after it. A prefix language model has one span, from
the first position on (Raffel et al. 2020, sec. 3.2.1).

What lies in a span must be given. A word that has to be predicted may not be
visible where it is predicted, neither in training nor in an answer.
"""

import math

import numpy as np

Spans = tuple[tuple[int, int], ...]


def check_spans(spans: Spans, sequence_length: float = math.inf) -> None:
    """Checks the spans of a network.

    Args:
        spans: (start, end) of each.
        sequence_length: tokens that it can read at once.

    Raises:
        ValueError: if they overlap, are not in order, or do not fit.
    """
    if not _are_spans(spans, sequence_length):
        raise ValueError(
            "`bidirectional` has spans (start, end) of two positions or more, "
            "whole numbers in increasing order without overlap, within "
            "`sequence_length`. Received: "
            f"bidirectional={spans!r}, sequence_length={sequence_length}"
        )


def _are_spans(spans: Spans, sequence_length: float) -> bool:
    if not isinstance(spans, tuple) or not all(map(_is_pair, spans)):
        return False
    last = 0
    for start, end in spans:
        if start < last or end - start < 2:
            return False
        last = end
    return last <= sequence_length


def _is_pair(span: tuple[int, int]) -> bool:
    are_whole = isinstance(span, tuple) and all(
        isinstance(edge, int) for edge in span
    )
    return are_whole and len(span) == 2


def sees_next(spans: Spans, num_positions: int) -> np.ndarray:
    """Tells which positions see the one after them.

    Such a position sees what it would predict. No position sees that by way
    of another one: whoever does lies in the same span.

    Args:
        spans: (start, end) of each.
        num_positions: positions, T.

    Returns:
        Booleans, shape (T,).
    """
    positions = np.arange(num_positions)
    is_seen = np.zeros(num_positions, bool)
    for start, end in spans:
        is_seen |= (start <= positions) & (positions + 1 < end)
    return is_seen


def check_answer(spans: Spans, num_prompt: int, num_tokens: int) -> None:
    """Checks that no answer is visible where it is predicted.

    Args:
        spans: (start, end) of each.
        num_prompt: tokens before the answer, P.
        num_tokens: tokens of the answer, N.

    Raises:
        ValueError: if a token of the answer lies in one span with the token
            before it.
    """
    # The last token of the answer is never read.
    is_seen = sees_next(spans, num_prompt + num_tokens - 1)
    if is_seen[max(num_prompt - 1, 0) :].any():
        raise ValueError(
            "No token of an answer may lie in one bidirectional span with the "
            "token before it: a prompt ends where a span ends, or outside of "
            "spans. Received: "
            f"a prompt of {num_prompt} tokens and an answer of {num_tokens}, "
            f"bidirectional={spans}"
        )
