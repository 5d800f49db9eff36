"""Exact evaluation: a model is asked for every possible sentence."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tiny_gpt.backend import compile_for_model
from tiny_gpt.decode import check_fits
from tiny_gpt.prompts import encode_prompts
from tiny_gpt.stream import (
    Stream,
    all_sentences,
    sample_sentences,
)
from tiny_gpt.vocabulary import PADDING_ID


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


class ExactEvaluator:
    """Asks a model for every sentence of a mapping, decoded "aligned".

    One compiled pass over the prompt and the right answer gives all
    probabilities, and the greedy answer of each sentence in which the most
    probable token is right every time. Only the others are generated token
    by token. What stands right of a position cannot reach it, so prompts of
    every length share one compiled shape, filled up on the right.

    Args:
        model: model of `build_gpt`.
        stream: what it has read.
        batch_size: sentences per compiled call.
    """

    def __init__(self, model: keras.Model, stream: Stream, batch_size=420):
        self.stream = stream
        self._batch_size = batch_size
        self._sequence_length = model.get_layer("embedding").sequence_length
        vocabulary, mixture = stream.vocabulary, stream.mixture
        num_tokens = mixture.sentence_length * vocabulary.tokens_per_word

        def answer_probabilities(tokens, start):
            logits = model(tokens, training=False)
            shape = (ops.shape(logits)[0], num_tokens, logits.shape[-1])
            logits = ops.slice(logits, (0, start - 1, 0), shape)
            return ops.softmax(ops.cast(logits, "float32"), axis=-1)

        self._probabilities = compile_for_model(model, answer_probabilities)

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
        check_fits(start, num_tokens, self._sequence_length)
        tokens = np.concatenate([questions, target], axis=1)
        probabilities = self._in_batches(tokens, start)
        greedy = probabilities.argmax(axis=-1)
        # From the first wrong token on, the model reads its own.
        wrong = np.flatnonzero((greedy != target).any(axis=1))
        for i in range(num_tokens - 1) if len(wrong) else ():
            own = readable_ids(greedy[wrong, i], self.stream.vocabulary.size)
            tokens[wrong, start + i] = own
            again = self._in_batches(tokens[wrong], start)
            greedy[wrong, i + 1] = again[:, i + 1].argmax(axis=-1)
        return Answers(sentences, target, greedy, probabilities)

    def _in_batches(self, tokens: np.ndarray, start: int) -> np.ndarray:
        size, length = self._batch_size, self._sequence_length
        parts = []
        for first in range(0, len(tokens), size):
            part = tokens[first : first + size, :length]
            filled = np.full((size, length), PADDING_ID, "int32")
            filled[: len(part), : part.shape[1]] = part
            # TensorFlow compiles anew for each Python integer.
            answer = self._probabilities(filled, np.int32(start))
            parts.append(ops.convert_to_numpy(answer)[: len(part)])
        return np.concatenate(parts)


def readable_ids(ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Returns ids as a model reads them: beyond the vocabulary, "unknown"."""
    return np.where(ids < vocabulary_size, ids, PADDING_ID)
