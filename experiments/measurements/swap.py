"""Swap: two C words change places in B->C; does A->C follow?

A trained network is trained further, on one mapping alone in which the answers
of two words are exchanged. If an A word is translated by way of its B word, it
gets the new C word as soon as B->C gives it, without any A->C pair.

The tier is the condition. The prompt says what was retrained, and how many
updates it had:

- "held_out": B->C, exchanged for the B words of two held-out A words,
- "shown": B->C, exchanged for those of two A words that A->C showed,
- "unchanged": B->C as before,
- "added": a mapping that does not lead to C, exchanged for two words.

Two C words may also change places in the head, and then all mappings to C
follow. A->C of shown words in the placebo, which are not translated by way of
B, tells how far this goes.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from experiments.measurements.questions import Questions, ask
from tiny_gpt.evaluation.data import Row
from tiny_gpt.experiment import Experiment
from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.languages import Mapping as Translation
from tiny_gpt.tasks.translation.languages import split_label
from tiny_gpt.tasks.translation.stream import (
    Stream,
    fresh_windows,
    sample_sentences,
)
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.run_files import State, set_state, state_of
from tiny_gpt.training.update import compile_gpt

NAME = "swap"
QUESTION = "If B->C is changed alone, does A->C change for held-out words?"
# Condition -> the mapping of "added".
ADDED = {
    "held_out_2_bridge": "B->B",
    "held_out_2_placebo": "D->D",
    "common_target": "B->E",
}
NEEDS = tuple(f"composition/{condition}" for condition in ADDED)
UPDATES = (0, 5, 10, 20, 40)
NUM_QUESTIONS = 64
# Groups of A words, the first ones are held out; "others" are never exchanged.
PAIRS = {"held_out": (0, 1), "shown": (2, 3)}
ASKED = ("A->C", "B->C")


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Retrains each network in each way, and asks A->C and B->C.

    Args:
        trained: by name, those of `NEEDS`.
        seed: of the sentences.

    Returns:
        Rows of the share of words that have their former C word ("old_...")
        and that of their partner ("new_..."), whether it was exchanged or not.
    """
    rows: list[Row] = []
    for name, (condition, added) in zip(NEEDS, ADDED.items(), strict=True):
        run = trained[name]
        for variant, label, pair in (
            ("held_out", "B->C", PAIRS["held_out"]),
            ("shown", "B->C", PAIRS["shown"]),
            ("unchanged", "B->C", None),
            ("added", added, PAIRS["held_out"]),
        ):
            for number, mapping, metric, value in retrained(
                run, label, pair, seed
            ):
                prompt = f"{variant}.updates_{number}"
                rows.append((mapping, condition, prompt, metric, value))
    return rows


def retrained(
    run: Trained, label: str, pair: tuple[int, int] | None, seed: int
) -> Iterator[tuple[int, str, str, float]]:
    """Yields rows after numbers of updates on one mapping.

    Args:
        run: the trained network, which stays as it is.
        label: mapping that is trained.
        pair: numbers of the A words to which the words belong whose answers
            are exchanged; None for no exchange.
        seed: of the sentences.

    Yields:
        Number of updates, mapping, metric and value.
    """
    model, reader, initial = _compiled(run.experiment)
    set_state(model, initial)  # the optimizer's, too
    model.set_weights([np.array(w) for w in run.model.get_weights()])
    stream = run.data.stream
    asked = [
        _Question(stream, mapping, group, seed)
        for mapping in ASKED
        for group in PAIRS
    ]
    rng = np.random.default_rng([seed, 7008])
    batch_size = run.experiment.train.batch_size
    inputs, targets, _ = fresh_windows(
        exchanged(stream, label, pair), label, UPDATES[-1] * batch_size, rng
    )
    for update in range(UPDATES[-1] + 1):
        if update in UPDATES:
            for question in asked:
                for metric, value in question.read(reader):
                    yield update, question.label, metric, value
        if update < UPDATES[-1]:
            batch = slice(update * batch_size, (update + 1) * batch_size)
            model.train_on_batch(inputs[batch], targets[batch])


def exchanged(
    stream: Stream, label: str, pair: tuple[int, int] | None
) -> Stream:
    """Returns a stream in which two words of a mapping have changed answers.

    Args:
        stream: the stream.
        label: the mapping.
        pair: numbers of the A words to which the words belong, or None.
    """
    if pair is None:
        return stream
    mapping = stream.mapping(label)
    words = in_source(stream, label, np.array(pair))
    permutation = np.array(mapping.permutation)
    permutation[words] = permutation[words[::-1]]
    changed = Translation(
        mapping.source, mapping.target, tuple(int(i) for i in permutation)
    )
    # What does not follow from the given mappings is found by label.
    scrambled = {**stream.scrambled, label: changed}
    return dataclasses.replace(stream, scrambled=scrambled)


def in_source(stream: Stream, label: str, words: np.ndarray) -> np.ndarray:
    """Returns A words (by number) in the source language of a mapping."""
    source, _ = split_label(label)
    if source == "A":
        return words
    return stream.composed(f"A->{source}").translate(words)


@functools.cache
def _compiled(experiment: Experiment) -> tuple[keras.Model, Reader, State]:
    """Returns a model, its reader, and its state before training."""
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    return model, Reader(model), state_of(model)


class _Question:
    """Questions, each about one word of a pair beside unchanged words.

    Demonstrations and the rest of the sentence have no word of any pair, so
    that nothing in the prompt tells whether words are exchanged.

    Args:
        stream: languages, as they were before.
        label: mapping of the questions.
        group: name of the pair.
        seed: of the sentences.
    """

    def __init__(self, stream: Stream, label: str, group: str, seed: int):
        self.label, self._group = label, group
        rng = np.random.default_rng([seed, 7007])
        size = stream.mixture.alphabet_size
        length = stream.mixture.sentence_length
        start = 1 + max(max(pair) for pair in PAIRS.values())
        drawn = start + sample_sentences(
            3 * NUM_QUESTIONS, size - start, length, rng
        ).reshape(NUM_QUESTIONS, 3, length)
        rows = np.arange(NUM_QUESTIONS)
        self._places = rows % length
        which = rng.integers(2, size=NUM_QUESTIONS)
        pair = np.array(PAIRS[group])
        sentences, partners = drawn[:, 0].copy(), drawn[:, 0].copy()
        sentences[rows, self._places] = pair[which]
        partners[rows, self._places] = pair[1 - which]
        self._asked, with_partner = (
            _ask(stream, label, words, drawn[:, 1:])
            for words in (sentences, partners)
        )
        self._old = self._asked.targets[rows, self._places]
        self._new = with_partner.targets[rows, self._places]

    def read(self, reader: Reader) -> Iterator[tuple[str, float]]:
        """Yields metrics and values."""
        said = self._asked.predicted(reader.read(self._asked.tokens))
        rows = np.arange(len(said))
        word = said[rows, self._places]
        yield f"old_{self._group}", float((word == self._old).mean())
        yield f"new_{self._group}", float((word == self._new).mean())
        is_other = np.ones(said.shape, bool)
        is_other[rows, self._places] = False
        right = (said == self._asked.targets)[is_other].mean()
        yield f"old_beside_{self._group}", float(right)


def _ask(
    stream: Stream, label: str, words: np.ndarray, shown: np.ndarray
) -> Questions:
    sentences, demonstrations = (
        in_source(stream, label, x) for x in (words, shown)
    )
    return ask(stream, label, sentences, demonstrations)
