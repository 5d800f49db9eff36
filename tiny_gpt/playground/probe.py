"""Linear probes that read which B word a network translates.

C words, B words and A words belong to each other one by one. So a probe that
learned from A->C questions would find "the B word" wherever a network knows
the A word. These probes learn from B->C questions alone, and are then put to
A->C questions: they find the B word there only if the network holds it as it
holds a B word that it reads.
"""

from dataclasses import dataclass

import keras
import numpy as np

from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.languages import names_in
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import (
    Stream,
    all_sentences,
    sample_sentences,
)

LEARNED_FROM = "B->C"
PIVOT = "B"
NUM_SHOWN = 2  # demonstrations
RIDGE = 0.01  # over the mean variance of a coordinate


@dataclass(frozen=True)
class WordProbes:
    """Probes of all points of a network, P of them.

    Attributes:
        kernels: shape (P, D, W) for W words of B.
        biases: shape (P, W).
        accuracies: share of words read right over every sentence, by mapping
            of the question and point. Of `LEARNED_FROM` it is that of the
            sentences from which the probes did not learn.
    """

    kernels: np.ndarray
    biases: np.ndarray
    accuracies: dict[str, list[float]]


def fit_linear_probe(
    streams: np.ndarray, words: np.ndarray, num_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a linear probe by ridge regression on indicators.

    Args:
        streams: what is read, shape (N, D).
        words: the word that belongs to each, integers, shape (N,).
        num_words: number of words, W.

    Returns:
        Kernel, shape (D, W), and bias, (W,). The largest of
        `streams @ kernel + bias` is the word that is read.
    """
    streams = np.asarray(streams, float)
    targets = np.eye(num_words)[words]
    middle, share = streams.mean(axis=0), targets.mean(axis=0)
    x, y = streams - middle, targets - share
    covariance = x.T @ x / len(x)
    width = len(covariance)
    ridge = RIDGE * np.trace(covariance) / width + np.finfo("float32").tiny
    kernel = np.linalg.solve(
        covariance + ridge * np.eye(width), x.T @ y / len(x)
    )
    return kernel, share - middle @ kernel


def fit_word_probes(
    reader: Reader,
    stream: Stream,
    rng: np.random.Generator,
    source: keras.Model | None = None,
) -> WordProbes:
    """Fits and tests the probes of a network.

    Args:
        reader: reads the network.
        stream: the text that it has read.
        rng: source of demonstrations, and of the half of the sentences from
            which the probes learn.
        source: as in `Reader.read`.
    """
    mixture = stream.mixture
    size = mixture.alphabet_size
    sentences = all_sentences(size, mixture.sentence_length)
    is_learned = rng.permutation(len(sentences)) < len(sentences) // 2
    streams, words = {}, {}
    for label in (c.mapping for c in mixture.components if c.num_shown):
        tokens, places = _ask(stream, label, sentences, rng)
        read = reader.read(tokens, source=source).residuals
        streams[label] = read[:, :, places]  # (P, N, k, D)
        words[label] = _words_of_b(stream, label, sentences)
    probes = [
        fit_linear_probe(
            read[is_learned].reshape(-1, read.shape[-1]),
            words[LEARNED_FROM][is_learned].ravel(),
            size,
        )
        for read in streams[LEARNED_FROM]
    ]
    accuracies = {}
    for label, read in streams.items():
        counts = ~is_learned if label == LEARNED_FROM else slice(None)
        accuracies[label] = [
            float(np.mean(_choose(*probe, x[counts]) == words[label][counts]))
            for probe, x in zip(probes, read, strict=True)
        ]
    kernels, biases = map(np.stack, zip(*probes, strict=True))
    return WordProbes(kernels, biases, accuracies)


def _choose(
    kernel: np.ndarray, bias: np.ndarray, streams: np.ndarray
) -> np.ndarray:
    return (streams @ kernel + bias).argmax(axis=-1)


def _ask(
    stream: Stream, label: str, sentences: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns questions with their right answers, and the answers' places.

    Places are the positions from which the words are predicted. Words are one
    token each.
    """
    mapping, mixture = stream.mapping(label), stream.mixture
    drawn = sample_sentences(
        len(sentences) * NUM_SHOWN,
        mixture.alphabet_size,
        mixture.sentence_length,
        rng,
    )
    shown = drawn.reshape(len(sentences), NUM_SHOWN, -1)
    prompts = encode_prompts(
        stream.vocabulary, mapping, sentences, mapping, shown
    )
    answers = stream.vocabulary.encode_answers(mapping, sentences)
    places = prompts.shape[1] - 1 + np.arange(answers.shape[1])
    return np.concatenate([prompts, answers[:, :-1]], axis=1), places


def _words_of_b(
    stream: Stream, label: str, sentences: np.ndarray
) -> np.ndarray:
    """Returns the numbers of the B words of source sentences, (N, k)."""
    source = names_in(label)[0]
    if source == PIVOT:
        return sentences
    return stream.mapping(f"{source}->{PIVOT}").translate(sentences)
