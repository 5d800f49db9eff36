"""Composing: how held-out A words are translated by way of B.

The tier is the condition. Rows are those of `pivot`, and those of three more
questions: does the answer follow when the B word is exchanged for another one
(`composing_exchange`); at which point can the streams of A->C and B->C stand
for each other (`composing_patches`); are an A word and its B word represented
alike (`composing_alike`)? "held_out_words" are the A words that A->C never
showed, "shown_words" all others. No demonstration has a held-out word.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from experiments.measurements import pivot
from experiments.measurements.composing_alike import alike_rows
from experiments.measurements.composing_exchange import exchange_rows
from experiments.measurements.composing_patches import (
    composed_rows,
    patch_rows,
)
from experiments.measurements.composing_words import draw_sentences
from tiny_gpt.evaluation.data import Row
from tiny_gpt.probes import Reader
from tiny_gpt.training.finished import Trained

NAME = "composing"
# Condition -> the mapping to C that was learned from thousands of pairs.
KNOWN = {
    "held_out_2_none": "B->C",
    "held_out_2_bridge": "B->C",
    "held_out_2_placebo": "B->C",
    "scrambled_bridge": "B->C",
    "no_route_bridge": "D->C",
    "common_target": "B->C",
    "second_target": "B->C",
}
NEEDS = tuple(f"composition/{condition}" for condition in KNOWN)
QUESTION = "Are held-out A words translated as their B words are, and by them?"
NUM_SENTENCES = 64
NUM_PIVOT_SENTENCES = 256
WORDS = 7006  # of the random generator of sentences


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Measures how A words are translated into C, in each condition.

    Args:
        trained: by name, those of `NEEDS`.
        seed: of the sentences.

    Raises:
        ValueError: as `pivot.measure`.
    """
    # One program for all: the weights of each condition are put into it.
    reader = Reader(trained[NEEDS[0]].experiment.model.build())
    rows: list[Row] = []
    for name, (condition, known) in zip(NEEDS, KNOWN.items(), strict=True):
        run = trained[name]
        reader.model.set_weights(run.model.get_weights())
        rows += [
            (mapping, condition, prompt, metric, float(value))
            for mapping, prompt, metric, value in _condition(
                reader, run, known, seed
            )
        ]
    return rows


def _condition(
    reader: Reader, run: Trained, known: str, seed: int
) -> Iterator[tuple[str, str, str, float]]:
    rng = np.random.default_rng([seed, 7005])
    yield from pivot.measure_condition(reader, run, known, rng)
    # The same sentences for all conditions, in numbers of words.
    rng = np.random.default_rng([seed, WORDS])
    sentences = draw_sentences(run, NUM_SENTENCES, rng)
    pivots = draw_sentences(run, NUM_PIVOT_SENTENCES, rng)
    yield from composed_rows(reader, sentences)
    yield from exchange_rows(reader, sentences, pivots, known)
    yield from patch_rows(reader, sentences, known)
    read = run.experiment.task.read_mappings
    yield from alike_rows(reader, pivots, known, read)
