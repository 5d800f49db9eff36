"""A network, questions about sentences of A, and answers after changes.

Questions of other languages are the same sentences, translated by the given
mappings. So a word of any language has the number of its A word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.measurements.questions import Questions, ask
from experiments.measurements.word_vectors import (
    Head,
    ranks_of,
    read_embeddings,
    read_head,
    word_ids,
)
from tiny_gpt.probes import Patch, Reader
from tiny_gpt.tasks.translation.stream import Stream, sample_sentences

NUM_SHOWN = 2  # demonstrations


@dataclass(frozen=True)
class WordProbe:
    """A network, and questions about sentences of A.

    Attributes:
        reader: the network.
        head: its head.
        embeddings: of words, by language, (W, D).
        ids: token ids of words, by language, (W,).
        own: numbers of the words asked for, (N, k).
        other: for each a word that is not in the sentence, (N, k).
        questions: by mapping.
        read: all streams of the questions, by mapping, (P, N, T, D).
    """

    reader: Reader
    head: Head
    embeddings: Mapping[str, np.ndarray]
    ids: Mapping[str, np.ndarray]
    own: np.ndarray
    other: np.ndarray
    questions: Mapping[str, Questions]
    read: Mapping[str, np.ndarray]

    def streams(self, label: str) -> np.ndarray:
        """Returns the streams at the places of the answer, (P, N, k, D)."""
        return self.read[label][:, :, self.questions[label].places[1]]

    def patched(self, label: str, point: str, values: np.ndarray) -> np.ndarray:
        """Returns the last stream, (N, k, D), with other values at a point.

        Args:
            label: mapping of the questions.
            point: name of the point.
            values: at the places of the answer, (N, k, D), or everywhere,
                (N, T, D).
        """
        questions = self.questions[label]
        places = questions.places[1]
        length = questions.tokens.shape[1]
        new, positions = values.astype("float32"), np.arange(length)
        if values.shape[1] != length:
            new = np.zeros((len(values), length, values.shape[2]), "float32")
            new[:, places], positions = values, places
        reading = self.reader.read(
            questions.tokens, [Patch(point, new, positions)]
        )
        return reading.residuals[-1][:, places].astype(float)

    def with_words(self, label: str, change: np.ndarray) -> np.ndarray:
        """Returns the last stream after a change of A's embeddings, (W, D)."""
        tokens, new = self.questions[label].tokens, self.read[label][0].copy()
        for number, token_id in enumerate(self.ids["A"]):
            new[tokens == token_id] += change[number]
        return self.patched(label, "embedding", new)

    def logits(self, last: np.ndarray, language: str) -> np.ndarray:
        """Returns logits of a language's words, from the last stream."""
        return self.head.logits(self.head.normed(last), language)

    def rank(
        self, logits: np.ndarray, words: np.ndarray | None = None
    ) -> float:
        """Returns the mean rank of words, by default the own ones.

        Args:
            logits: of a language's words, (N, k, W).
            words: their numbers, (N, k).
        """
        words = self.own if words is None else words
        ranks = ranks_of(logits)
        return float(np.take_along_axis(ranks, words[..., None], -1).mean())


def build_probe(
    reader: Reader,
    stream: Stream,
    labels: Sequence[str],
    num_sentences: int,
    rng: np.random.Generator,
) -> WordProbe:
    """Asks a network questions.

    Args:
        reader: the network, pre-norm.
        stream: its languages.
        labels: mappings of the questions.
        num_sentences: sentences of A, N.
        rng: source of the sentences.
    """
    size, length = stream.mixture.alphabet_size, stream.mixture.sentence_length
    drawn = sample_sentences(
        num_sentences * (1 + NUM_SHOWN), size, length, rng
    ).reshape(num_sentences, -1, length)
    questions = {}
    for label in labels:
        source, words = label[0], drawn
        if source != "A":
            words = stream.composed(f"A->{source}").translate(drawn)
        questions[label] = ask(stream, label, words[:, 0], words[:, 1:])
    return WordProbe(
        reader,
        read_head(reader.model, stream),
        read_embeddings(reader.model, stream),
        word_ids(stream),
        drawn[:, 0],
        _absent(drawn[:, 0], size, rng),
        questions,
        {
            label: reader.read(asked.tokens).residuals.astype(float)
            for label, asked in questions.items()
        },
    )


def _absent(
    sentences: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws words that are not in a sentence, each at most once if it can."""
    length = sentences.shape[1]
    is_there = (sentences[..., None] == np.arange(size)).any(axis=1)
    absent = np.argsort(is_there, axis=1, kind="stable")[:, : size - length]
    return rng.permuted(absent, axis=1)[:, np.arange(length) % (size - length)]
