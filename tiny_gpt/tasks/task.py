"""What a task is: the protocol that a new one follows.

A task is one file or folder beside this one, with two classes. The first, a
frozen dataclass, decides all of what is learned but the seed: `Task`. Its
`draw` returns the second, what a run of one seed reads and is asked: `Data`
(`tiny_gpt/evaluation/data.py`). Nothing else has to be touched:

    experiment = Experiment("mine", "one", MyTask(...), GPTConfig(...))
    metrics = train.run(experiment, seed=0).metrics

`translation/task.py` is the paper's; `tests/tasks/test_protocol.py` has a
short one. What a task learns are its mappings. Each has a name, e.g. "A->B"
or "f", which stands in the frames' column "mapping".
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tiny_gpt.evaluation.data import Data
from tiny_gpt.evaluation.evaluate import EvaluationConfig


class Task(Protocol):
    """All that decides what is learned, but the seed; a frozen dataclass.

    Its fields are part of an experiment's config, of the key of a sweep's
    store and, by their names, axes of sweeps. Fields and their values are
    hashable, and JSON types but for nested dataclasses.
    """

    @property
    def eval_mappings(self) -> tuple[str, ...]:
        """Mappings that are asked, in the order of tables and figures."""

    @property
    def pivots(self) -> tuple[str, ...]:
        """What only the exact evaluation has rows of, in "all_sentences".

        E.g. "A->B->C", two steps asked one after the other; often empty.
        """

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, V; id 0 is padding."""

    @property
    def answer_length(self) -> int:
        """Tokens of every right answer, A."""

    @property
    def read_mappings(self) -> tuple[str, ...]:
        """Mappings of `Data.windows`, in the same order."""

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks that the questions fit the model's window.

        Args:
            sequence_length: tokens that the model reads at once, T.
            evaluation: what is asked.

        Raises:
            ValueError: if they do not, or cannot all be asked.
        """

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns how many windows are read in an epoch of each phase.

        One phase; or two, where a pre-training on other data comes first.
        """

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> Sequence[Data]:
        """Draws what a run reads, `Data` for each phase.

        All that is asked is asked of the last one.

        Args:
            sequence_length: tokens in a window, T.
            rng: source of randomness; of one seed, whatever the task.
        """

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the lowest losses possible, by what the reader knows.

        Nats per token. "inferred" is that of a reader who knows the mappings,
        infers which one it reads, and remembers nothing of the text: what
        lies below is memorised; where it is unknown and left out, nothing is
        measured against it. "told" is that of a reader who is told which one.
        """

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns accuracies of those who do not generalise.

        By name, and by mapping of `eval_mappings`: "chance" guesses,
        "memoriser" knows what it has read and else guesses.
        """
