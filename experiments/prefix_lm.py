"""Does it need a causal model? The same text, read by prefix language models.

Question  Is A->C learned from as few pairs by a network that sees a question,
          or the whole prompt, in both directions?
Paper     Names prefix language models as future work (sec. 4.2).
Run       make exp-prefix-lm SEEDS=10 ARGS="--first-seed 1000"
Time      52 minutes beside other work for 10 seeds

A prefix language model needs questions at fixed positions, so windows hold
three whole pairs. A span in which positions see each other is a question of
each pair (mask "pairs") or all up to the last question (mask "prompt", as
Raffel et al. 2020, sec. 3.2.1). What such a network sees is not scored. Each
mask therefore has a causal network with the same windows and the same targets
in the loss; "causal_full" has the loss of all targets, and "stream" also has
the windows of `composition`, as published.

As in `composition`, all conditions draw their words from six languages, and
one seed gives all the same words, sentences and initial weights. All have as
many updates, by the nearest number of epochs. With the loss of last answers,
the other two pairs of a window, A->C or not, are only read.
"""

import dataclasses
from dataclasses import dataclass

from experiments import composition
from experiments.composition import UPDATES, Change
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.models.spans import Spans
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "prefix_lm"
PAIRS = (8, 16, 25, 50)  # of A->C
# Of three pairs `w w w w . v v v v |`: all before the last answer, or each
# question.
PROMPT: Spans = ((0, 25),)
QUESTIONS: Spans = ((0, 5), (10, 15), (20, 25))


@dataclass(frozen=True)
class Reading:
    """How a network reads the text.

    Attributes:
        says: the reading in a line.
        bidirectional: see `GPTConfig`.
        scored: see `Translation`.
        window_packing: see `Translation`.
        pairs: numbers of A->C pairs.
    """

    says: str
    bidirectional: Spans = ()
    scored: str = "all"
    window_packing: str = "pairs"
    pairs: tuple[int, ...] = PAIRS


READINGS = {
    "stream": Reading(
        "causal, windows cut from a stream",
        window_packing="stream",
        pairs=(50,),
    ),
    "causal_full": Reading("causal"),
    "causal_answers": Reading("causal, loss of answers", scored="answers"),
    "prefix_pairs": Reading(
        "questions in both directions, loss of answers", QUESTIONS, "answers"
    ),
    "causal_last": Reading("causal, loss of last answers", (), "last_answer"),
    "prefix_prompt": Reading(
        "prompt in both directions, loss of last answers",
        PROMPT,
        "last_answer",
    ),
}
CONDITIONS = {
    f"{name}_{n}": (reading, n)
    for name, reading in READINGS.items()
    for n in reading.pairs
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    reading, num_pairs = CONDITIONS[condition]
    change = Change(reading.says, held_out=0, num_sparse=num_pairs)
    experiment = composition.build(NAME, condition, change)
    experiment = dataclasses.replace(
        experiment,
        task=dataclasses.replace(
            experiment.task,
            window_packing=reading.window_packing,
            scored=reading.scored,
        ),
        model=dataclasses.replace(
            experiment.model, bidirectional=reading.bidirectional
        ),
    )
    num_epochs = round(UPDATES / updates_per_epoch(experiment))
    train = dataclasses.replace(experiment.train, num_epochs=num_epochs)
    return dataclasses.replace(experiment, train=train)


STUDY = Study(
    name=NAME,
    conditions={
        condition: f"{reading.says}: {n} A->C pairs"
        for condition, (reading, n) in CONDITIONS.items()
    },
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
)
