"""Asking a trained network for one translation."""

from dataclasses import dataclass

import numpy as np

from tiny_gpt.evaluation.every_sentence import (
    CompiledAnswers,
    ExactEvaluator,
)
from tiny_gpt.tasks.translation.languages import Mapping, names_in
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import Stream, sample_sentences

NUM_SHOWN = 3  # words with their probabilities


@dataclass(frozen=True)
class Translated:
    """What a network says to one question.

    Attributes:
        prompt: demonstrations and question, as text.
        answer: the words that it says, greedily, as text.
        right: the right words.
        likeliest: for each right word, the likeliest tokens and their
            probabilities, after the right words before it.
        probabilities: of each right word, after those before it.
    """

    prompt: str
    answer: str
    right: str
    likeliest: tuple[tuple[tuple[str, float], ...], ...]
    probabilities: tuple[float, ...]


class Asked:
    """A trained network that is asked one question at a time.

    Args:
        model: the network.
        stream: the text that it has read (`TranslationData.stream`).
        sequence_length: tokens that it reads at once.
        answer_length: tokens of the longest answer.
    """

    def __init__(
        self, model, stream: Stream, sequence_length: int, answer_length: int
    ):
        self._stream = stream
        vocabulary = stream.vocabulary
        compiled = CompiledAnswers(
            model, answer_length, vocabulary.size, sequence_length
        )
        self._evaluator = ExactEvaluator(compiled, model, batch_size=1)

    def __call__(
        self, mapping: str, words: str, num_demonstrations: int, seed: int = 0
    ) -> Translated:
        """Asks for a translation.

        Args:
            mapping: e.g. "A->C".
            words: a sentence of its source language, e.g. "b y l p".
            num_demonstrations: solved pairs before the question.
            seed: source of the demonstrations.

        Raises:
            ValueError: if the words are no sentence of that language, the
                mapping does not follow from those given, or the question does
                not fit the window.
        """
        stream, vocabulary = self._stream, self._stream.vocabulary
        asked = stream.mapping(mapping)
        sentence = read_sentence(stream, asked, words)
        mixture = stream.mixture
        shown = sample_sentences(
            num_demonstrations,
            mixture.alphabet_size,
            mixture.sentence_length,
            np.random.default_rng(seed),
        )
        prompt = encode_prompts(vocabulary, asked, sentence, asked, shown[None])
        target = vocabulary.encode_answers(asked, sentence)
        found = self._evaluator.answer(prompt, target)
        places = range(
            vocabulary.tokens_per_word - 1,
            target.shape[1],
            vocabulary.tokens_per_word,
        )
        by_place = found.probabilities[0]
        return Translated(
            vocabulary.decode(prompt[0]),
            vocabulary.decode(found.greedy[0]),
            vocabulary.decode(target[0]),
            tuple(_likeliest(vocabulary, by_place[i]) for i in places),
            tuple(float(by_place[i, target[0, i]]) for i in places),
        )


def _likeliest(vocabulary, probabilities) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-probabilities, kind="stable")[:NUM_SHOWN]
    return tuple(
        (vocabulary.decode(order[i : i + 1]), float(probabilities[k]))
        for i, k in enumerate(order)
    )


def read_sentence(stream: Stream, mapping: Mapping, words: str) -> np.ndarray:
    """Returns the positions of words in their language, shape (1, k).

    Raises:
        ValueError: if they are not as many different words of the source
            language as a sentence has.
    """
    symbols = mapping.source.symbols
    given = [*"".join(words.split())]
    number = stream.mixture.sentence_length
    is_whole = len(given) == number == len(set(given))
    if not is_whole or not set(given) <= set(symbols):
        raise ValueError(
            f"A sentence of {names_in(mapping.label)[0]} has {number} "
            f"different words of: {' '.join(symbols)}. Received: {words!r}"
        )
    return np.array([[symbols.index(word) for word in given]])
