"""The inside of a network, by position, layer and head: the answer and B.

This is a description; no rule reads it. The prompt of a row is a point and a
position of `controls/sparse_a_to_c`, e.g. "block_0.attention.3", or a head,
"block_1.head_2". Positions count from the first of the prompt. Rows of the
metric "place" hold the positions of the question's words, and those from which
their answers are predicted.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from experiments.measurements.pivot import KNOWN, NEEDS, words_left
from experiments.measurements.pivot_use import (
    measure_use,
    pivot_effects,
    pivot_streams,
    read_directions,
    without,
)
from experiments.measurements.questions import Questions, ask
from tiny_gpt.evaluation.data import Row
from tiny_gpt.probes import (
    Reader,
    head_patching_effect,
    lens_rank,
    patching_effect,
)
from tiny_gpt.tasks.translation.stream import Stream, sample_sentences
from tiny_gpt.training.finished import Trained

NAME = "inside"
QUESTION = "Which positions, layers and heads carry the answer, and which B?"
PATCHED = "sparse_a_to_c"
NUM_SENTENCES = 64
NUM_PIVOT_SENTENCES = 512

__all__ = ["NAME", "NEEDS", "QUESTION", "measure"]

Found = Iterator[tuple[str, str, str, float]]


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Patches A->B into A->C, and looks for B, at every place.

    Args:
        trained: by name, those of `NEEDS`.
        seed: of the sentences.

    Raises:
        ValueError: as `pivot.measure`.
    """
    reader = Reader(trained[NEEDS[0]].experiment.model.build())
    rows: list[Row] = []
    for name, (condition, known) in zip(NEEDS, KNOWN.items(), strict=True):
        run = trained[name]
        reader.model.set_weights(run.model.get_weights())
        rng = np.random.default_rng([seed, 7002])
        rows += [
            (mapping, condition, prompt, metric, float(value))
            for mapping, prompt, metric, value in _condition(
                reader, run, known, rng
            )
        ]
    return rows


def _condition(
    reader: Reader, run: Trained, known: str, rng: np.random.Generator
) -> Found:
    stream = run.data.stream
    size, length = stream.mixture.alphabet_size, stream.mixture.sentence_length
    num_shown = run.experiment.evaluation.exact_demonstrations[0]
    sentences = sample_sentences(NUM_SENTENCES, size, length, rng)
    others = words_left(sentences, size, rng)
    shown = sample_sentences(NUM_SENTENCES * num_shown, size, length, rng)
    shown = shown.reshape(NUM_SENTENCES, num_shown, length)
    if run.experiment.condition == PATCHED:
        yield from _everywhere(reader, stream, sentences, shown)
    # Of the mapping to C that is known, what `pivot` takes out of A->C: its
    # pivot words without all that the head reads as a C word.
    to_c = stream.mapping(known)
    same_c = stream.mapping("A->C").then(to_c.inverse())
    words, left = same_c.translate(sentences), same_c.translate(others)
    pivots = sample_sentences(NUM_PIVOT_SENTENCES, size, length, rng)
    times = NUM_PIVOT_SENTENCES // NUM_SENTENCES
    pivot = ask(stream, known, pivots, np.tile(shown, (times, 1, 1)))
    streams = pivot_streams(reader, pivot, NUM_SENTENCES)
    effects = pivot_effects(streams, pivots, size)
    c_words = stream.vocabulary.ids(to_c.target, np.arange(size))
    hidden = without(effects, read_directions(reader.model, c_words))
    used = measure_use(
        reader, ask(stream, known, words, shown), words, left, hidden
    )
    yield known, "all", "use_hidden", used.use()


def _everywhere(
    reader: Reader, stream: Stream, sentences: np.ndarray, shown: np.ndarray
) -> Found:
    size = stream.mixture.alphabet_size
    asked = ask(stream, "A->C", sentences, shown)
    for i, (source, answer) in enumerate(asked.places.T, 1):
        yield "A->C", f"source_{i}", "place", source
        yield "A->C", f"answer_{i}", "place", answer
    yield from _patched(reader, asked, ask(stream, "A->B", sentences, shown))
    b_words = stream.vocabulary.ids(
        stream.mapping("A->B").target, np.arange(size)
    )
    own = stream.mapping("A->B").translate(sentences)
    yield from _lens(reader, asked, b_words[own], b_words)


def _patched(reader: Reader, asked: Questions, donor: Questions) -> Found:
    """Yields changes of log p of all right words, by place and head, nats."""
    metrics = "own_words", "donor_words"
    given = (
        donor.tokens,
        asked.tokens,
        np.tile(asked.places[1], 2),
        np.concatenate([asked.targets, donor.targets], axis=1),
    )

    def totals(effects):  # (..., B, 2k) -> (..., 2)
        mean = effects.mean(axis=-2)
        return mean.reshape(*mean.shape[:-1], 2, -1).sum(axis=-1)

    by_place = totals(patching_effect(reader, *given))
    for (p, position, i), value in np.ndenumerate(by_place):
        yield "A->C", f"{reader.points[p]}.{position}", metrics[i], value
    by_head = totals(head_patching_effect(reader, *given))
    for (block, head, i), value in np.ndenumerate(by_head):
        yield "A->C", f"block_{block}.head_{head}", metrics[i], value


def _lens(
    reader: Reader, asked: Questions, ids: np.ndarray, candidates: np.ndarray
) -> Found:
    """Yields the share of other B words that rank below the right one.

    It is 1/2 if nothing is known. At each position of the stream, it is the
    mean over sentences for the word of the question with the highest mean; of
    a head, the same at its best position.
    """
    reading = reader.read(asked.tokens)
    most = len(candidates) - 1

    def above(streams):  # (..., B, T, D) -> (..., T)
        rank = lens_rank(reader.lens(streams), ids, candidates)
        return ((most + 1 - rank) / most).mean(axis=-3).max(axis=-1)

    for (p, position), value in np.ndenumerate(above(reading.residuals)):
        prompt = f"{reader.points[p]}.{position}"
        yield "A->C", prompt, "lens_any_word", value
    for block in range(len(reading.head_values)):
        outputs = reading.head_outputs(block).swapaxes(0, 1)
        for head, values in enumerate(above(outputs)):
            prompt = f"block_{block}.head_{head}"
            yield "A->C", prompt, "lens_any_word", values.max()
