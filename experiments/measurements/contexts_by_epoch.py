"""Distance of a model from Bayes, by demonstrations and by epoch.

`contexts` asks the trained model; this measurement asks the same questions
after every epoch. It is a description: no rule reads it. The run is
`count_50`, which is `controls/sparse_a_to_c`, so the last epoch has the
numbers of `contexts`.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from experiments.measurements.context_words import (
    AnswerWord,
    context_given_word,
    next_word_probabilities,
)
from experiments.measurements.contexts import (
    COUNTS,
    RANDOM,
    RunContexts,
    demonstrated,
    draw_sentences,
    tier_of,
)
from experiments.measurements.repeated import Weights, weights_by_epoch
from tiny_gpt.commands.measured import RowOfEpoch
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.training.finished import Trained

NAME = "contexts_by_epoch"
PLACE = COUNTS[50]
NEEDS = (PLACE,)
QUESTION = "When does the model come to answer as Bayes would?"

MAPPINGS = ("A->B", "B->C", "A->C")
METRICS = (
    "kl_from_bayes",
    "bayes_posterior",
    "right_word_mass",
    "outside_right_words",
)
# As many as `contexts` draws, for its longer window; the last ones are shown.
DRAWN = 3


def measure(trained: Mapping[str, Trained], seed: int) -> list[RowOfEpoch]:
    """Reads the contexts of a run after every epoch.

    Args:
        trained: the runs of `NEEDS`; the run is trained once more.
        seed: of the questions.

    Returns:
        Rows of the first answer word, by epoch: nats from Bayes; the weight
        of the right context, by Bayes and as the model's probability of its
        word; the model's probability of all words that are right in no
        context.

    Raises:
        NotRepeatedError: if the run does not end as it did before.
        ValueError: if words have space marks.
    """
    run = trained[PLACE]
    return [*read_epochs(run, weights_by_epoch(run), seed)]


def read_epochs(
    trained: Trained, by_epoch: Sequence[Weights], seed: int
) -> Iterator[RowOfEpoch]:
    """Yields the rows of weights, epoch by epoch.

    Args:
        trained: the run of the weights.
        by_epoch: weights after each epoch.
        seed: of the questions.
    """
    asked = {}
    for label in MAPPINGS:
        run = RunContexts(PLACE, trained, label)
        for num in range(run.most + 1):
            asked[label, num] = _Prompt(run, label, num, seed)
    model = trained.experiment.model.build()
    of_epoch = dataclasses.replace(trained, model=model)
    updates = updates_per_epoch(trained.experiment)
    for epoch, weights in enumerate(by_epoch, start=1):
        model.set_weights(weights)
        for (label, num), prompt in asked.items():
            place = tier_of(PLACE, 1), demonstrated(num, label)
            for metric, value in prompt.read(of_epoch):
                yield epoch, epoch * updates, label, *place, metric, value


class _Prompt:
    """Questions after demonstrations, with their exact values.

    Args:
        run: contexts of the source language.
        label: mapping of demonstrations and questions.
        num: demonstrations.
        seed: of the questions.
    """

    def __init__(self, run: RunContexts, label: str, num: int, seed: int):
        rng = np.random.default_rng([seed, RANDOM])
        sentences = draw_sentences(run.packing, DRAWN, rng)
        tokens, start = run.prompts(run.asked(num, label), sentences)
        self._run, self._label = run, label
        self._tokens = tokens[:, :start]
        self._posterior = run.posterior(self._tokens)[:, -1]
        self._right = run.right_words(sentences[:, -1])[:, 0]

    def read(self, trained: Trained) -> Iterator[tuple[str, float]]:
        """Yields metrics and their means over the questions."""
        given = next_word_probabilities(trained, self._tokens)[:, -1]
        run = self._run
        word = AnswerWord(
            run.targets,
            given,
            self._posterior,
            self._right,
            context_given_word(run.targets, run.shown, given.shape[-1]),
        )
        for mapping, metric, values in word.masses():
            if metric in METRICS and mapping in (self._label, "all"):
                yield metric, float(np.mean(values))
