"""Likeness of words: is an A word represented as its B word is?

A word's vector is what it adds to the residual stream at its own places, less
the mean over the words (`pivot_effects`), and averaged over the places of a
kind. Two words of one number are alike if the cosine of their vectors exceeds
that with other words. The value is the cosine with the own word less the mean
of those with all others: 0 if numbers do not matter, at most 1 + 1/(W - 1) on
average.

Comparisons are written "first|second". "A->B|B" compares answers of A->B with
the embeddings of B words. "output_alike" compares the last stream of these
answers with the stream of B words in question, at each point of it. Lin, Chen
and Xu 2025, arXiv 2509.24653, predict both likenesses for identity bridges.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from experiments.measurements.composing_words import Sentences
from experiments.measurements.pivot_use import pivot_effects
from experiments.measurements.word_vectors import read_embeddings
from tiny_gpt.probes import Reader

ROLES = ("source", "answer")

Found = Iterator[tuple[str, str, str, float]]


def alike_rows(
    reader: Reader, sentences: Sentences, known: str, read: tuple[str, ...]
) -> Found:
    """Compares words of A with words of B.

    Args:
        reader: the network.
        sentences: questions from which vectors are learned.
        known: mapping to C that was learned from thousands of pairs.
        read: mappings in the text.

    Yields:
        Comparison, a point and a kind of place, metric and value.
    """
    pairs = pairs_of(known, read)
    from_b = "B->C" if "B->C" in read else "B->B"
    labels = {*sum(pairs, ()), "A->B", from_b}
    vectors = {
        label: vectors_of(reader, sentences, label) for label in sorted(labels)
    }
    groups = sentences.groups(np.arange(sentences.size))

    def rows(comparison, prompt, first, second, metric="alike"):
        values = likeness(first, second)
        yield comparison, prompt, metric, float(values.mean())
        for group, is_in in groups.items():
            value = float(values[is_in].mean())
            yield comparison, prompt, f"{metric}_{group}", value

    for first, second in pairs:
        for role in ROLES:
            for prompt, p in _places(reader, role):
                both = (vectors[x][role][p] for x in (first, second))
                yield from rows(f"{first}|{second}", prompt, *both)
    answers = vectors["A->B"]["answer"]
    embeddings = read_embeddings(reader.model, sentences.stream)["B"]
    for prompt, p in _places(reader, "answer"):
        yield from rows("A->B|B", prompt, answers[p], embeddings)
    for prompt, p in _places(reader, "source"):
        words = vectors[from_b]["source"][p]
        compared = f"A->B|{from_b}", prompt, answers[-1], words
        yield from rows(*compared, "output_alike")


def pairs_of(known: str, read: tuple[str, ...]) -> list[tuple[str, str]]:
    """Returns pairs of mappings that share their answers, or may."""
    pairs = [("A->C", known)]
    if "B->B" in read:
        pairs += [("A->C", "B->B"), ("A->B", "B->B")]
    if "A->E" in read:
        pairs.append(("A->E", "B->E"))
    return pairs


def _places(reader: Reader, role: str) -> list[tuple[str, int]]:
    """Returns prompts and points; no answer is known at the embedding."""
    start = ROLES.index(role)
    return [
        (f"{point}.{role}", start + p)
        for p, point in enumerate(reader.points[start:])
    ]


def vectors_of(
    reader: Reader, sentences: Sentences, label: str
) -> Mapping[str, np.ndarray]:
    """Returns the vectors of words in a mapping, by role, (P, W, D)."""
    asked = sentences.ask(label)
    streams = asked.streams(reader.read(asked.tokens))
    effects = pivot_effects(streams, sentences.own, sentences.size)
    halves = np.split(effects, 2, axis=1)
    return {
        role: each.mean(axis=1)
        for role, each in zip(ROLES, halves, strict=True)
    }


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns each word's cosine with its own word, less that with others.

    The mean is that of `word_vectors.paired_cosines`: own less others.

    Args:
        first: vectors (W, D).
        second: vectors of the words of the same numbers, (W, D).

    Returns:
        Differences of cosines, (W,). A vector of length 0 has cosines of 0.
    """
    cosines = _units(first) @ _units(second).T
    own = np.diag(cosines)
    others = (cosines.sum(axis=1) - own) / (len(cosines) - 1)
    return own - others


def _units(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(
        centred, lengths, out=np.zeros(centred.shape), where=lengths > 0
    )
