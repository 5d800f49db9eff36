"""The protocol `Task`, which every new task follows.

A task is one file or folder, here or anywhere, with two classes. The first is
a frozen dataclass, `Task`: it decides all of what is learned but the seed. Its
`draw` returns the second, `Data` (`tiny_gpt/evaluation/data.py`): the text and
the questions of one seed. Nothing else has to be changed:

    experiment = Experiment("mine", "one", MyTask(...), GPTConfig(...))
    metrics = train.run(experiment, seed=0).metrics

`translation/task.py` is the paper's task; `examples/sums.py` is a short one.
What a task teaches are its mappings. Each has a name, e.g. "A->B" or "f", which
is in the frames' column "mapping".

A task whose loss leaves targets out has a further attribute, the bool
`has_unscored_targets`; these targets are `NOT_SCORED` (`Data.targets`).

A task that measures losses besides those of its mappings has a further
attribute, the dict `part_columns`: by part, mapping, tier, prompt and metric
of its loss. Its data then have `parts` (`tiny_gpt/evaluation/parts.py`).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tiny_gpt.evaluation.data import Data
from tiny_gpt.evaluation.evaluate import EvaluationConfig


class Task(Protocol):
    """All that decides what is learned, but the seed; a frozen dataclass.

    Its fields are part of an experiment's config and of the key of a sweep's
    store. Their names can be axes of sweeps. Values are hashable and of JSON
    types, or nested dataclasses of such values.
    """

    @property
    def eval_mappings(self) -> tuple[str, ...]:
        """Mappings of the questions, in the order of tables and figures."""

    @property
    def pivots(self) -> tuple[str, ...]:
        """Two-step questions, with rows of the exact evaluation only.

        E.g. "A->B->C", asked in two steps, one after the other; often empty.
        Their rows have the tier "all_sentences".
        """

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, V; id 0 is padding."""

    @property
    def answer_length(self) -> int:
        """Tokens of the longest right answer, A."""

    @property
    def read_mappings(self) -> tuple[str, ...]:
        """Mappings of `Data.windows`, in the same order."""

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks that the questions fit the model's window.

        Args:
            sequence_length: tokens that the model reads at once, T.
            evaluation: the questions.

        Raises:
            ValueError: if they do not, or cannot all be asked.
        """

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns how many windows are read in an epoch of each phase.

        There is one phase, or two if a pre-training on other data comes first.
        """

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> Sequence[Data]:
        """Draws the data of a run, `Data` for each phase.

        All questions are those of the last phase.

        Args:
            sequence_length: tokens in a window, T.
            rng: source of randomness; it depends on the seed, not the task.
        """

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the lowest losses possible, by what the reader knows.

        Nats per token. The reader of "inferred" knows the mappings, infers
        which one it reads, and remembers nothing of the text. A lower loss is
        due to memorisation. If this floor is unknown and left out, nothing is
        measured against it. The reader of "told" is told which mapping it is.
        """

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns accuracies of readers that do not generalise.

        By name, and by mapping of `eval_mappings`: "chance" guesses;
        "memoriser" knows what it has read and guesses the rest. A task whose
        sentences have words may have "dictionary", which knows every word
        that it has read of the mapping.
        """
