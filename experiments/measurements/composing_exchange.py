"""Exchange of the B word inside A->C: does the answer follow?

`pivot_use` removes the own B word. This measurement gives another one: at a
point and a kind of place, it moves the part of the stream along the direction
of the own B word to the direction of a B word that belongs to no word of the
sentence. Both are directions of B->C, less what the head reads as a C word. A
word that is translated by way of B becomes the C word of the other B word.

As a control, the same part is taken, but the direction given is that of the
word of the same number in a language that leads nowhere here.
"""

from collections.abc import Iterator

import numpy as np

from experiments.measurements.composing_words import Sentences
from experiments.measurements.pivot_use import (
    KINDS,
    pivot_effects,
    pivot_streams,
    read_directions,
    split_in_halves,
    without,
)
from experiments.measurements.questions import Questions
from tiny_gpt.analysis.directions import remove_direction
from tiny_gpt.probes import Patch, Reader, Reading

# Where a word's direction in a stream is this short, it may be rounding.
SMALLEST = 1e-4  # of the root mean square length, as `remove_direction` has it

Found = Iterator[tuple[str, str, str, float]]


def exchange_rows(
    reader: Reader, sentences: Sentences, pivots: Sentences, known: str
) -> Found:
    """Exchanges pivot words in A->C, and in the mapping that reads them.

    Args:
        reader: the network.
        sentences: those whose words are exchanged.
        pivots: further ones, from which directions are learned.
        known: mapping to C that was learned from thousands of pairs.

    Yields:
        Mapping, prompt, metric and value. The prompt is a point and a kind of
        place, or "all" for the best of them: chosen in one half of the
        sentences, counted in the other.
    """
    stream, size = sentences.stream, sentences.size
    c_words = stream.vocabulary.ids(stream.languages["C"], np.arange(size))
    basis = read_directions(reader.model, c_words)
    unrelated = "D->C" if known == "B->C" else "B->C"
    effects = {
        label: effects_of(reader, pivots, label) for label in (known, unrelated)
    }
    hidden = {label: without(each, basis) for label, each in effects.items()}
    goal = sentences.ask(known, sentences.other).targets
    groups = {"": np.ones(sentences.own.shape, bool)}
    groups |= {
        f"_{name}": is_in
        for name, is_in in sentences.groups(sentences.own).items()
    }

    def follow(label, taken, given):
        return follows(
            reader, sentences.ask(label), sentences, (taken, given), goal
        )

    followed = follow("A->C", hidden[known], hidden[known])
    control = follow("A->C", hidden[known], hidden[unrelated])
    for group, is_in in groups.items():
        found = split_in_halves(followed, is_in)
        yield "A->C", "all", f"exchange{group}", found.use()
        found = split_in_halves(control, is_in)
        yield "A->C", "all", f"exchange_control{group}", found.use()
        for p, point in enumerate(reader.points):
            for i, kind in enumerate(KINDS):
                share = float(followed[p, i][is_in].mean())
                yield "A->C", f"{point}.{kind}", f"exchange{group}", share
    followed = follow(known, effects[known], effects[known])
    found = split_in_halves(followed, groups[""])
    yield known, "all", "exchange", found.use()


def effects_of(reader: Reader, pivots: Sentences, label: str) -> np.ndarray:
    """Returns the directions of words in a mapping, (P, 2k, W, D)."""
    streams = pivot_streams(reader, pivots.ask(label), len(pivots.own))
    return pivot_effects(streams, pivots.own, pivots.size)


def follows(
    reader: Reader,
    asked: Questions,
    sentences: Sentences,
    directions: tuple[np.ndarray, np.ndarray],
    goal: np.ndarray,
) -> np.ndarray:
    """Tells which answers become the other pivot word's.

    Args:
        reader: the network.
        asked: the questions.
        sentences: their words, own and other.
        directions: of own words that are taken, and of other words that are
            given, each (P, 2k, W, D).
        goal: ids of the answers that belong to the other words, (B, k).

    Returns:
        1 for a word that is answered by `goal` and was not before, else 0,
        (P, 3, B, k).
    """
    reading = reader.read(asked.tokens)
    before = asked.predicted(reading) == goal
    found = np.zeros((len(reader.points), len(KINDS), *goal.shape))
    for p, kind in np.ndindex(found.shape[:2]):
        roles = list(KINDS.values())[kind]
        patch = exchange(reading, asked, sentences, directions, p, roles)
        said = asked.predicted(reader.read(asked.tokens, [patch]))
        found[p, kind] = (said == goal) & ~before
    return found


def exchange(
    reading: Reading,
    asked: Questions,
    sentences: Sentences,
    directions: tuple[np.ndarray, np.ndarray],
    point: int,
    roles: tuple[int, ...],
) -> Patch:
    """Returns the patch that moves own words to other ones, see `follows`."""
    values = reading.residuals[point].astype(float)
    num_words = sentences.own.shape[1]
    taken, given = (each[point] for each in directions)
    for role in roles:
        for i, position in enumerate(asked.places[role]):
            place = role * num_words + i
            values[:, position] = moved(
                values[:, position],
                taken[place][sentences.own[:, i]],
                given[place][sentences.other[:, i]],
            )
    positions = asked.places[list(roles)].ravel()
    return Patch(reading.points[point], values, positions)


def moved(
    values: np.ndarray, taken: np.ndarray, given: np.ndarray
) -> np.ndarray:
    """Moves the coordinate along one direction to another direction.

    As in `remove_direction`, it is the coordinate less its mean over
    sentences, and directions that may be rounding do not count.

    Args:
        values: representations, (N, D).
        taken: direction of each that is taken away, of any length, (N, D).
        given: direction of each that is given, of any length, (N, D).
    """
    left = remove_direction(values, taken, SMALLEST)
    size = np.sqrt((np.asarray(values, float) ** 2).sum(axis=1).mean())
    from_units, to_units = _units(taken, size), _units(given, size)
    along = ((values - left) * from_units).sum(axis=1, keepdims=True)
    return left + along * to_units


def _units(directions: np.ndarray, size: float) -> np.ndarray:
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.divide(
        directions,
        lengths,
        out=np.zeros(directions.shape),
        where=lengths > SMALLEST * size,
    )
