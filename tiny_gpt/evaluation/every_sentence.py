"""Exact evaluation: a model is asked for every possible sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tiny_gpt.evaluation.greedy import GreedyDecoder, check_fits
from tiny_gpt.models.stepwise import reading_of
from tiny_gpt.runtime.backend import Snapshot, compile_for_model
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import (
    Stream,
    all_sentences,
    sample_sentences,
)
from tiny_gpt.tasks.translation.vocabulary import PADDING_ID


@dataclass(frozen=True)
class Prompt:
    """What stands before the question.

    Attributes:
        num_demonstrations: sentence pairs.
        mapping: their mapping; None for the mapping asked for.
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
    """What a model says to every question, N sentences of k words.

    Attributes:
        sentences: positions in the source alphabet, shape (N, k).
        target: right token ids, shape (N, A) with A tokens per answer.
        greedy: ids generated, shape (N, A).
        probabilities: of each id, after the prompt and the right answer so
            far (teacher-forced), shape (N, A, V).
    """

    sentences: np.ndarray
    target: np.ndarray
    greedy: np.ndarray
    probabilities: np.ndarray


class CompiledAnswers:
    """What gives answers, compiled for all models of one shape.

    Args:
        model: model of a `ModelConfig`.
        num_tokens: tokens per answer, A.
        vocabulary_size: token ids that the model can read.
        sequence_length: tokens that it can read at once.

    Attributes:
        sequence_length: as given.
        probabilities: function of a model or its `Snapshot` and of prompts
            with right answers, token ids of shape (B, P + A), that returns
            the probabilities of each answer token, (B, A, V).
        generate: greedy answers to prompts, `GreedyDecoder`.
    """

    def __init__(
        self,
        model: keras.Model,
        num_tokens: int,
        vocabulary_size: int,
        sequence_length: int,
    ):
        reading = reading_of(model)
        self.sequence_length = sequence_length
        self.generate = GreedyDecoder(
            model, "cached", num_tokens, vocabulary_size, sequence_length
        )

        def answer_probabilities(tokens):
            # Nothing is asked after the last token.
            first = tokens.shape[1] - num_tokens - 1
            logits = reading.logits_at(tokens[:, :-1], first, num_tokens)
            return ops.softmax(ops.cast(logits, "float32"), axis=-1)

        self.probabilities = compile_for_model(model, answer_probabilities)


class ExactEvaluator:
    """Asks a model for every sentence of a mapping, decoded "aligned".

    One compiled pass over the prompt and the right answer gives all
    probabilities, and the greedy answer of each sentence in which the most
    probable token is right every time. Only the others are generated token
    by token.

    Args:
        compiled: what is compiled for the model.
        model: model of a `ModelConfig`, or its weights.
        stream: what it has read.
        batch_size: sentences per compiled call.
    """

    def __init__(
        self,
        compiled: CompiledAnswers,
        model: keras.Model | Snapshot,
        stream: Stream,
        batch_size: int = 420,
    ):
        self.stream = stream
        self._compiled, self._model = compiled, model
        self._batch_size = batch_size

    def ask(
        self, label: str, prompt: Prompt, rng: np.random.Generator
    ) -> Answers:
        """Asks for the translation of every sentence.

        Args:
            label: mapping asked for, e.g. "A->C".
            prompt: what stands before the question.
            rng: source of randomness of the demonstrations.

        Returns:
            The answers.

        Raises:
            ValueError: if prompt and answer do not fit the window.
        """
        mixture = self.stream.mixture
        sentences = all_sentences(
            mixture.alphabet_size, mixture.sentence_length
        )
        questions = self.questions(label, prompt, rng, sentences)
        mapping = self.stream.mapping(label)
        target = self.stream.vocabulary.encode_answers(mapping, sentences)
        return self.answer(questions, sentences, target)

    def questions(
        self,
        label: str,
        prompt: Prompt,
        rng: np.random.Generator,
        sentences: np.ndarray,
    ) -> np.ndarray:
        """Encodes questions, each after demonstrations drawn at random.

        A demonstration may be the question itself, once in |N| draws, and has
        words that training held out as often as others. From
        the same state of `rng`, fewer demonstrations are the last of more.

        Returns:
            Token ids, shape (N, P).
        """
        mixture = self.stream.mixture
        size, length = mixture.alphabet_size, mixture.sentence_length
        num = prompt.num_demonstrations
        demonstrations = np.empty((len(sentences), num, length), int)
        for i in reversed(range(num)):
            demonstrations[:, i] = sample_sentences(
                len(sentences), size, length, rng
            )
        return encode_prompts(
            self.stream.vocabulary,
            self.stream.mapping(label),
            sentences,
            self.stream.mapping(prompt.mapping or label),
            demonstrations,
        )

    def answer(
        self, questions: np.ndarray, sentences: np.ndarray, target: np.ndarray
    ) -> Answers:
        """Answers encoded questions, as `ask` does.

        Args:
            questions: token ids, shape (N, P).
            sentences: source sentences, shape (N, k).
            target: right answers, shape (N, A).
        """
        start, num_tokens = questions.shape[1], target.shape[1]
        check_fits(start, num_tokens, self._compiled.sequence_length)
        tokens = np.concatenate([questions, target], axis=1)
        probabilities = self._in_batches(
            lambda batch: self._compiled.probabilities(self._model, batch),
            tokens,
        )
        greedy = probabilities.argmax(axis=-1)
        # From the first wrong token on, the model reads its own.
        wrong = np.flatnonzero((greedy != target).any(axis=1))
        if len(wrong):
            greedy[wrong] = self._in_batches(
                lambda batch: self._compiled.generate(batch, self._model),
                questions[wrong],
            )
        return Answers(sentences, target, greedy, probabilities)

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


def readable_ids(ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Returns ids as a model reads them: beyond the vocabulary, "unknown"."""
    return np.where(ids < vocabulary_size, ids, PADDING_ID)
