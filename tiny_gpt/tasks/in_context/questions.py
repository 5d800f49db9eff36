"""Questions after every end: each x, and prompts against the weights."""

import math
from collections.abc import Sequence

import numpy as np

from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.every_sentence import (
    ExactEvaluator,
    Prompt,
    score_answers,
)
from tiny_gpt.tasks.in_context.source import FIXED, Source

NUM_PROMPTS = 128  # drawn; every x is asked after each
FLIPPED = "flipped"  # the fixed bijection with two answers exchanged


def exact_rows(
    source: Source,
    evaluator: ExactEvaluator,
    mappings: Sequence[str],
    num_demonstrations: Sequence[int],
    rng: np.random.Generator,
) -> list[Row]:
    """Asks for every x, after each of `NUM_PROMPTS` drawn prompts.

    The fixed bijection is asked as well after prompts of "flipped", which show
    the x that is asked. The shares of answers are then "answer_of_prompt",
    "answer_of_weights" and "answer_of_other".

    Args:
        source: the bijections.
        evaluator: the trained model.
        mappings: those of the questions.
        num_demonstrations: pairs before each question.
        rng: source of randomness.

    Returns:
        Rows, see `Data.exact_rows`.
    """
    rows: list[Row] = []
    for mapping in mappings:
        for k in num_demonstrations:
            rows += _rows_of(source, evaluator, mapping, k, rng)
    for k in num_demonstrations:
        if k and source.fixed_share:
            rows += _flipped_rows(source, evaluator, k, rng)
    return rows


def _rows_of(
    source: Source,
    evaluator: ExactEvaluator,
    mapping: str,
    num_shown: int,
    rng: np.random.Generator,
) -> list[Row]:
    size = source.num_symbols
    shown = source.draw_x(NUM_PROMPTS, num_shown, rng)
    every_x = np.tile(np.arange(size), NUM_PROMPTS)[:, None]
    x = np.concatenate([np.repeat(shown, size, axis=0), every_x], axis=1)
    indices = np.repeat(source.draw(mapping, NUM_PROMPTS, rng), size)
    tokens = source.encode(x, source.images(indices, x))
    answers = evaluator.answer(tokens[:, :-1], tokens[:, -1:])
    is_shown = (x[:, :-1] == every_x).any(axis=1, keepdims=True)
    tiers = {
        "all_sentences": np.ones_like(is_shown),
        "seen_sentences": is_shown,
        "unseen_sentences": ~is_shown,
    }
    candidates = 1 + size + np.arange(size)
    return [
        (mapping, tier, Prompt(num_shown).name, metric, value)
        for tier, mask in tiers.items()
        if mask.any()  # before the first pair nothing was shown
        for metric, value in score_answers(answers, candidates, mask).items()
    ]


def flipped_prompts(
    source: Source, number: int, num_shown: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws prompts that contradict the fixed bijection in two answers.

    Args:
        source: the bijections.
        number: questions, N.
        num_shown: pairs before each, k; the x that is asked is one of the two
            whose answers are exchanged, and is shown at least once.
        rng: source of randomness.

    Returns:
        Tokens `x y ... x y`, shape (N, 2k + 2), with the prompt's answer at
        the end, and the fixed bijection's answers, shape (N,).
    """
    symbols = np.tile(np.arange(source.num_symbols), (number, 1))
    two = rng.permuted(symbols, axis=1)[:, :2]
    x = source.draw_x(number, num_shown + 1, rng)
    x[:, -1] = two[:, 0]
    x[np.arange(number), rng.integers(num_shown, size=number)] = two[:, 0]
    exchanged = np.where(x == two[:, :1], two[:, 1:], x)
    exchanged = np.where(x == two[:, 1:], two[:, :1], exchanged)
    fixed = np.full(number, source.fixed)
    tokens = source.encode(x, source.images(fixed, exchanged))
    return tokens, source.encode(x, source.images(fixed, x))[:, -1]


def _flipped_rows(
    source: Source,
    evaluator: ExactEvaluator,
    num_shown: int,
    rng: np.random.Generator,
) -> list[Row]:
    number = NUM_PROMPTS * source.num_symbols
    tokens, of_weights = flipped_prompts(source, number, num_shown, rng)
    answers = evaluator.answer(tokens[:, :-1], tokens[:, -1:])
    given = answers.greedy[:, 0]
    shares = {
        "prompt": float((given == tokens[:, -1]).mean()),
        "weights": float((given == of_weights).mean()),
    }
    shares["other"] = max(0.0, 1.0 - math.fsum(shares.values()))
    prompt = Prompt(num_shown, FLIPPED).name
    return [
        (FIXED, "all_sentences", prompt, f"answer_of_{name}", share)
        for name, share in shares.items()
    ]
