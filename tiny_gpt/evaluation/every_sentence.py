"""Exact evaluation: every possible question, and the scores of the answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tiny_gpt.evaluation.greedy import (
    PADDING_ID,
    GreedyDecoder,
    check_fits,
)
from tiny_gpt.evaluation.scores import (
    brier_score,
    exact_match,
    log_probability_among,
    rank_of_target,
    word_accuracy,
    words_right,
)
from tiny_gpt.models.spans import check_answer
from tiny_gpt.models.stepwise import reading_of, spans_of
from tiny_gpt.runtime.programs import Snapshot, compile_for_model

BATCH_SIZE = 420  # questions of one compiled call
METRICS = (
    "accuracy_aligned",
    "accuracy_teacher_forced",
    "exact_match_aligned",
    "exact_match_teacher_forced",
    "log_probability",
    "probability",
    "brier_score",
    "rank",
    "log_probability_in_language",
    "accuracy_in_language",
)


@dataclass(frozen=True)
class Prompt:
    """The demonstrations before a question.

    Attributes:
        num_demonstrations: sentence pairs.
        mapping: their mapping; None for the mapping of the question.
    """

    num_demonstrations: int
    mapping: str | None = None

    @property
    def name(self) -> str:
        """Name in the metrics frame, e.g. "2_demonstrations_of_A->B"."""
        of = "" if self.mapping is None else f"_of_{self.mapping}"
        return f"{self.num_demonstrations}_demonstrations{of}"


@dataclass(frozen=True)
class Answers:
    """A model's answers to N questions.

    Attributes:
        target: right token ids, shape (N, A) with A tokens per answer.
        greedy: ids generated, shape (N, A).
        probabilities: of each id, after the prompt and the right answer so
            far (teacher-forced), shape (N, A, V).
    """

    target: np.ndarray
    greedy: np.ndarray
    probabilities: np.ndarray

    def last(self, num_tokens: int) -> "Answers":
        """Returns the ends of the answers, of so many tokens."""
        end = slice(-num_tokens, None)
        return Answers(
            self.target[:, end],
            self.greedy[:, end],
            self.probabilities[:, end],
        )


class CompiledAnswers:
    """The functions that give answers, compiled for all models of one shape.

    Args:
        model: model of a `ModelConfig`.
        num_tokens: tokens of the longest answer, A.
        vocabulary_size: token ids that the model can read.
        sequence_length: tokens that it can read at once.

    Attributes:
        num_tokens: as given.
        sequence_length: as given.
        probabilities: function of a model or its `Snapshot` and of prompts
            with right answers, token ids of shape (B, P + A). It returns the
            probabilities of each answer token, (B, A, V). Answers that a span
            would show are a ValueError (`check_answer`).
        generate: greedy answers to prompts, `GreedyDecoder`.
    """

    def __init__(
        self,
        model: keras.Model,
        num_tokens: int,
        vocabulary_size: int,
        sequence_length: int,
    ):
        reading, spans = reading_of(model), spans_of(model)
        self.num_tokens, self.sequence_length = num_tokens, sequence_length
        self.generate = GreedyDecoder(
            model, "cached", num_tokens, vocabulary_size, sequence_length
        )

        def answer_probabilities(tokens):
            # Nothing is asked after the last token.
            first = tokens.shape[1] - num_tokens - 1
            check_answer(spans, first + 1, num_tokens)
            logits = reading.logits_at(tokens[:, :-1], first, num_tokens)
            return ops.softmax(ops.cast(logits, "float32"), axis=-1)

        self.probabilities = compile_for_model(model, answer_probabilities)


class ExactEvaluator:
    """Asks a model any questions, decoded "aligned".

    One compiled pass over the prompt and the right answer gives all
    probabilities. If every right token is the most probable one, this pass
    also gives the greedy answer. Other answers are generated token by token.

    Args:
        compiled: the compiled functions of the model.
        model: model of a `ModelConfig`, or its weights.
        batch_size: questions per compiled call.
    """

    def __init__(
        self,
        compiled: CompiledAnswers,
        model: keras.Model | Snapshot,
        batch_size: int = BATCH_SIZE,
    ):
        self._compiled, self._model = compiled, model
        self._batch_size = batch_size

    def answer(self, questions: np.ndarray, target: np.ndarray) -> Answers:
        """Asks questions.

        Args:
            questions: token ids, shape (N, P).
            target: right answers, shape (N, A), or of fewer tokens. The model
                then goes on, and what it says further on is left out.

        Raises:
            ValueError: if question and longest answer do not fit the window,
                or a span holds words of the answer.
        """
        start, num_tokens = questions.shape[1], target.shape[1]
        longest = self._compiled.num_tokens
        check_fits(start, longest, self._compiled.sequence_length)
        left = np.full((len(target), longest - num_tokens), PADDING_ID)
        tokens = np.concatenate([questions, target, left], axis=1)
        probabilities = self._in_batches(
            lambda batch: self._compiled.probabilities(self._model, batch),
            tokens,
        )[:, :num_tokens]
        greedy = probabilities.argmax(axis=-1)
        # From the first wrong token on, the model reads its own.
        wrong = np.flatnonzero((greedy != target).any(axis=1))
        if len(wrong):
            greedy[wrong] = self._in_batches(
                lambda batch: self._compiled.generate(batch, self._model),
                questions[wrong],
            )[:, :num_tokens]
        return Answers(target, greedy, probabilities)

    def _in_batches(
        self, function: Callable[[np.ndarray], Any], tokens: np.ndarray
    ) -> np.ndarray:
        size = self._batch_size
        parts = []
        for first in range(0, len(tokens), size):
            part = tokens[first : first + size]
            filled = np.full((size, tokens.shape[1]), PADDING_ID, "int32")
            filled[: len(part)] = part
            answer = function(filled)
            parts.append(ops.convert_to_numpy(answer)[: len(part)])
        return np.concatenate(parts)


def score_answers(
    answers: Answers,
    candidates: np.ndarray,
    mask: np.ndarray,
    tokens_per_word: int = 1,
) -> dict[str, float]:
    """Scores the words of some answers.

    Args:
        answers: answers to N questions, of k words.
        candidates: token ids among which the last token of a right word is
            ranked: those of the target language's words.
        mask: words that count, booleans of shape (N, k).
        tokens_per_word: tokens that are right or wrong together.

    Returns:
        Value by metric: those of `METRICS`, and "num_words", the number of
        words that count. Exact match is there only if whole answers count.
        Rank and the scores "..._in_language" compare candidates only, for the
        last token of a word, teacher-forced: after the right answer so far.
        `log_probability_in_language` is the mean log-probability of the right
        one (nats) if they have probability 1 together, and
        `accuracy_in_language` the share of words whose likeliest candidate is
        the right one; a tie counts as wrong.

    Raises:
        ValueError: if `mask` does not have the shape of the words.
    """
    target, probabilities = answers.target, answers.probabilities
    greedy = words_right(answers.greedy, target, tokens_per_word)
    if mask.shape != greedy.shape:
        raise ValueError(
            f"`mask` needs shape (N, k) = {greedy.shape}, k the words of an "
            f"answer of {target.shape[1]} tokens. Received: shape {mask.shape} "
            f"with tokens_per_word={tokens_per_word}"
        )
    forced = words_right(probabilities.argmax(axis=-1), target, tokens_per_word)
    right = np.take_along_axis(probabilities, target[..., None], axis=-1)
    by_word = np.log(np.maximum(right[..., 0], np.finfo("float32").tiny))
    by_word = by_word.reshape(*greedy.shape, tokens_per_word).sum(axis=-1)
    last = slice(tokens_per_word - 1, None, tokens_per_word)
    words, of_words = target[:, last], probabilities[:, last]
    ranks = rank_of_target(of_words, words, candidates)
    values = {
        "accuracy_aligned": word_accuracy(greedy[mask]),
        "accuracy_teacher_forced": word_accuracy(forced[mask]),
        "log_probability": float(by_word[mask].mean()),
        "probability": float(np.exp(by_word[mask]).mean()),
        "brier_score": float(brier_score(of_words, words)[mask].mean()),
        "rank": float(ranks[mask].mean()),
        "log_probability_in_language": float(
            log_probability_among(of_words, words, candidates)[mask].mean()
        ),
        "accuracy_in_language": word_accuracy(ranks[mask] == 1.0),
        "num_words": float(mask.sum()),
    }
    if (mask == mask[:, :1]).all():
        whole = mask[:, 0]
        values["exact_match_aligned"] = exact_match(greedy[whole])
        values["exact_match_teacher_forced"] = exact_match(forced[whole])
    return values


def readable_ids(ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Returns ids that a model can read: "unknown" beyond the vocabulary."""
    return np.where(ids < vocabulary_size, ids, PADDING_ID)
