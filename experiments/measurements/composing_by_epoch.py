"""Likeness of A and B words, and translation of held-out words, by epoch.

`composing` reads the trained networks; this measurement asks some of its
questions after epochs of the same runs: does an A word become like its B word
before the network translates it by way of B, or afterwards? It is a
description: no rule reads it. The last epoch has the numbers of `composing`.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from experiments.measurements import composing
from experiments.measurements.composing_alike import alike_rows
from experiments.measurements.composing_patches import composed_rows
from experiments.measurements.composing_words import draw_sentences
from experiments.measurements.repeated import Weights, weights_by_epoch
from tiny_gpt.commands.measured import RowOfEpoch
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.probes import Reader
from tiny_gpt.training.finished import Trained

NAME = "composing_by_epoch"
CONDITIONS = ("held_out_2_bridge", "held_out_2_placebo", "common_target")
NEEDS = tuple(f"composition/{condition}" for condition in CONDITIONS)
QUESTION = "Do A words become like B words before they are translated by them?"
MOST_EPOCHS = 10
# The word in question, the word that was fetched, the answer.
PROMPTS = (
    "embedding.source",
    "block_0.attention.answer",
    "block_0.feed_forward.answer",
    "block_1.feed_forward.answer",
)


def measure(trained: Mapping[str, Trained], seed: int) -> list[RowOfEpoch]:
    """Reads the networks of each condition after some epochs.

    Args:
        trained: by name, those of `NEEDS`; each is trained once more.
        seed: of the sentences.

    Raises:
        NotRepeatedError: if a run does not end as it did before.
    """
    rows: list[RowOfEpoch] = []
    for name, condition in zip(NEEDS, CONDITIONS, strict=True):
        run = trained[name]
        by_epoch = weights_by_epoch(run)
        rows += read_epochs(run, condition, by_epoch, seed)
    return rows


def read_epochs(
    run: Trained, condition: str, by_epoch: Sequence[Weights], seed: int
) -> Iterator[RowOfEpoch]:
    """Yields the rows of weights, epoch by epoch.

    Args:
        run: the run of the weights.
        condition: its name, the tier of the rows.
        by_epoch: weights after each epoch.
        seed: of the sentences.
    """
    # As `composing` draws them.
    rng = np.random.default_rng([seed, composing.WORDS])
    sentences = draw_sentences(run, composing.NUM_SENTENCES, rng)
    pivots = draw_sentences(run, composing.NUM_PIVOT_SENTENCES, rng)
    known = composing.KNOWN[condition]
    read = run.experiment.task.read_mappings
    updates = updates_per_epoch(run.experiment)
    reader = Reader(run.experiment.model.build())
    for epoch in epochs_read(len(by_epoch)):
        reader.model.set_weights(by_epoch[epoch - 1])
        place = epoch, epoch * updates
        for mapping, prompt, metric, value in (
            *composed_rows(reader, sentences),
            *alike_rows(reader, pivots, known, read),
        ):
            if prompt in ("all", *PROMPTS):
                yield *place, mapping, condition, prompt, metric, value


def epochs_read(num_epochs: int) -> list[int]:
    """Returns the epochs that are read, the first and the last among them."""
    most = min(num_epochs, MOST_EPOCHS)
    spread = np.linspace(1, num_epochs, most)
    return [round(float(epoch)) for epoch in spread]
