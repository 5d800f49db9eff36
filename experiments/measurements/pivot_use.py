"""The use of the pivot word: an answer after its direction is removed.

A translation "goes through B" if the network, before it has the C word, holds
the B word of the word in question and makes the answer of it. Three tests
appear to decide this, but do not:

- Put the stream of B->C about other words into A->C. A network may fetch the
  word, whatever its language, and translate it directly in a later layer, A or
  B into C. It then gives the donor's C word too, and never makes a B word.
- Patch late. The last points hold the answer, and bring the donor's.
- Look. A B word may be there and lead to nothing.

This measurement therefore removes something from A->C's own stream: the
coordinate along the direction in which B->C holds the B word
(`analysis.directions`), without what the head reads as a C word
(`read_directions`). If A->C's answer is made of this word, the answer is lost;
it survives if the direction of another B word is removed instead. The
difference is the use of the pivot word. At points where the answer is
finished, nothing is left of the direction that could still count.

The measurement cannot tell a B word from a hidden feature that all words with
the same C word share. Networks in which such words exist without a route from
A (`no_route_to_c`, `scrambled_a_to_c`) show the size of this effect.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from experiments.measurements.questions import Questions
from tiny_gpt.analysis.directions import remove_direction, word_effects
from tiny_gpt.evaluation.scores import rank_of_target
from tiny_gpt.probes import Patch, Reader, Reading

# Rows of `Questions.places`: word asked for, and where its answer is given.
KINDS = {"source": (0,), "answer": (1,), "both": (0, 1)}


@dataclass(frozen=True)
class PivotUse:
    """How much answers need their pivot word, by point and kind of place.

    Attributes:
        by_half: share of right words kept without another pivot word, minus
            the share kept without their own, in each half of the sentences,
            (2, P, 3).
    """

    by_half: np.ndarray

    def best(self, start: int = 0) -> tuple[int, int]:
        """Returns the place with most use, in the first half of the sentences.

        Args:
            start: number of the first point that counts.
        """
        counted = self.by_half[0, start:]
        point, kind = np.unravel_index(counted.argmax(), counted.shape)
        return start + int(point), int(kind)

    def use(self, start: int = 0) -> float:
        """Returns the use at the best place, in the second half.

        If a place were chosen and measured on the same sentences, its value
        would be too high.

        Args:
            start: number of the first point that counts.

        Returns:
            In [-1, 1]. 1: each answer needs its own pivot word and no other.
        """
        return float(self.by_half[1][self.best(start)])


def split_in_halves(values: np.ndarray, counts: np.ndarray) -> PivotUse:
    """Returns means over the words of every other sentence.

    Args:
        values: of each word, at each place, (P, 3, B, k).
        counts: words that count, (B, k); a half without any has 0.
    """
    half = np.arange(len(counts)) % 2
    by_half = np.zeros((2, *values.shape[:2]))
    for h in range(2):
        counted = counts & (half == h)[:, None]
        if counted.any():
            by_half[h] = values[..., counted].mean(axis=-1)
    return PivotUse(by_half)


@dataclass(frozen=True)
class Removal:
    """What became of answers when a pivot word was removed.

    Attributes:
        is_right: words that were right before, (B, k).
        lost: 1 for a word that is kept without another pivot word and not
            without its own, -1 for the opposite, else 0, (P, 3, B, k).
    """

    is_right: np.ndarray
    lost: np.ndarray

    def use(self, counts: np.ndarray | bool = True) -> PivotUse:
        """Returns the use of pivot words.

        Args:
            counts: words that count, if they were right, (B, k).
        """
        return split_in_halves(self.lost, self.is_right & counts)


def measure_removal(
    reader: Reader,
    asked: Questions,
    own: np.ndarray,
    other: np.ndarray,
    effects: np.ndarray,
) -> Removal:
    """Removes pivot words, at one point and kind of place at a time.

    Args:
        reader: the network.
        asked: questions, e.g. of A->C.
        own: number of the pivot word of each word in question, (B, k).
        other: number of another pivot word, (B, k), preferably one that
            belongs to no word of the sentence.
        effects: directions of pivot words, of `pivot_effects`.
    """
    reading = reader.read(asked.tokens)
    is_right = asked.predicted(reading) == asked.targets
    lost = np.zeros((len(reader.points), len(KINDS), *own.shape))
    for p, kind in np.ndindex(lost.shape[:2]):
        roles = list(KINDS.values())[kind]
        kept = []
        for words in (own, other):
            patch = removal(reading, asked, effects, words, p, roles)
            found = reader.read(asked.tokens, [patch])
            kept.append(asked.predicted(found) == asked.targets)
        lost[p, kind] = kept[1].astype(float) - kept[0]
    return Removal(is_right, lost)


def measure_use(
    reader: Reader,
    asked: Questions,
    own: np.ndarray,
    other: np.ndarray,
    effects: np.ndarray,
) -> PivotUse:
    """Measures how much answers need their pivot words (`measure_removal`)."""
    return measure_removal(reader, asked, own, other, effects).use()


def pivot_streams(
    reader: Reader, pivot: Questions, batch_size: int
) -> np.ndarray:
    """Reads questions of pivot->C, in batches, (P, N, 2k, D)."""
    parts = [
        pivot.streams(reader.read(pivot.tokens[i : i + batch_size]))
        for i in range(0, len(pivot.tokens), batch_size)
    ]
    return np.concatenate(parts, axis=1)


def read_directions(model: keras.Model, ids: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis of what the head reads as some classes.

    A logit is linear in the normed stream: gamma times a column of the head's
    kernel, minus its mean, since the norm removes the mean.

    Args:
        model: model of `GPTConfig`.
        ids: classes, e.g. all C words, (n,).

    Returns:
        Directions of length 1, shape (n', D), n' <= n.
    """
    layers = {layer.name: layer for layer in model.layers}
    kernel = ops.convert_to_numpy(layers["head"].kernel)[:, ids]
    read = kernel.astype(float).T
    if "final_norm" in layers:
        read = read * ops.convert_to_numpy(layers["final_norm"].gamma)
        read -= read.mean(axis=1, keepdims=True)
    _, sizes, basis = np.linalg.svd(read, full_matrices=False)
    return basis[sizes > 1e-6 * sizes.max()]


def without(effects: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Removes the span of an orthonormal basis (n, D) from (..., D)."""
    return effects - effects @ basis.T @ basis


def pivot_effects(
    streams: np.ndarray, words: np.ndarray, num_words: int
) -> np.ndarray:
    """Returns what each word adds to the stream at its own places.

    Args:
        streams: of `Questions.streams`, (P, N, 2k, D).
        words: numbers of the words in question, (N, k).
        num_words: words of the language, W.

    Returns:
        Directions, shape (P, 2k, W, D).
    """
    num_points, num, num_places, width = streams.shape
    flat = streams.transpose(1, 0, 2, 3).reshape(num, -1)
    effects = word_effects(flat, words, num_words).reshape(
        -1, num_words, num_points, num_places, width
    )
    own = [effects[t % len(effects), :, :, t] for t in range(num_places)]
    return np.stack(own).transpose(2, 0, 1, 3)


def removal(
    reading: Reading,
    asked: Questions,
    effects: np.ndarray,
    words: np.ndarray,
    point: int,
    roles: tuple[int, ...],
) -> Patch:
    """Returns the patch that removes a word from each of its places.

    Args:
        reading: of the questions.
        asked: the questions.
        effects: of `pivot_effects`.
        words: number of the word removed from each place, (B, k).
        point: number of the point.
        roles: rows of `Questions.places`.
    """
    values = reading.residuals[point].copy()
    num_words = words.shape[1]
    for role in roles:
        for i, position in enumerate(asked.places[role]):
            directions = effects[point, role * num_words + i][words[:, i]]
            here = values[:, position]
            values[:, position] = remove_direction(here, directions)
    positions = asked.places[list(roles)].ravel()
    return Patch(reading.points[point], values, positions)


def first_share(
    reader: Reader, streams: np.ndarray, ids: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Returns the share of places at which the lens ranks the C word first.

    Args:
        reader: the network.
        streams: (P, B, 2k, D).
        ids: right C words, (B, k).
        targets: ids of all C words.

    Returns:
        Share by point and role, (P, 2).
    """
    seen = reader.lens(streams)
    wanted = np.broadcast_to(np.tile(ids, 2), seen.shape[:-1])
    is_first = rank_of_target(seen, wanted, targets) == 1
    num_points, num = seen.shape[:2]
    return is_first.reshape(num_points, num, 2, -1).mean(axis=(1, 3))
