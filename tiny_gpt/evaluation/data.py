"""The protocol `Data`: what evaluation needs from the data of one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from tiny_gpt.evaluation.every_sentence import ExactEvaluator

Row = tuple[str, str, str, str, float]  # mapping, tier, prompt, metric, value

# Tiers of the exact evaluation. Every task has the first; sweeps compare the
# second with the third. The others are for tasks whose sentences have words.
TIERS = (
    "all_sentences",
    "seen_sentences",
    "unseen_sentences",
    "unseen_word_positions",
    "unseen_words",
    "held_out_words",
)
OTHERS, BETWEEN, SOURCE, ANSWER = -1, 0, 1, 2  # kinds of targets
# In a right answer: any token will do. In the targets of a text: not in the
# loss, see `Data.targets`.
NOT_SCORED = -1


@dataclass(frozen=True)
class Windows:
    """Windows that hold targets of one mapping.

    Attributes:
        inputs: token ids, shape (N, T).
        targets: the same, one token later, all of them.
        kinds: kind of each target, shape (N, T): `SOURCE` in a question,
            `ANSWER` in what is scored of a right answer, `BETWEEN` elsewhere
            in an example of the mapping, `OTHERS` in padding or an example of
            another mapping.
    """

    inputs: np.ndarray
    targets: np.ndarray
    kinds: np.ndarray


class Data(Protocol):
    """The text that a run of one seed reads, and the questions about it.

    A question is a row of token ids, demonstrations included, after which the
    model answers. The right answers of a mapping have one number of tokens.
    """

    @property
    def inputs(self) -> np.ndarray:
        """All windows that are read in an epoch, token ids, shape (N, T)."""

    @property
    def targets(self) -> np.ndarray:
        """The same, one token later, or `NOT_SCORED` for one not in the loss.

        The task must then say so: `Task.has_unscored_targets`.
        """

    @property
    def tokens_per_word(self) -> int:
        """Tokens of an answer that are right or wrong together."""

    def windows(self) -> dict[str, Windows]:
        """Returns the windows of each mapping in the text, in a fixed order.

        Their losses and gradients are measured.
        """

    def fresh_windows(
        self, mapping: str, num_windows: int, rng: np.random.Generator
    ) -> Windows:
        """Draws new windows of one mapping, distributed like those read."""

    def sample_questions(
        self,
        mapping: str,
        num_questions: int,
        num_demonstrations: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws questions; the model may have read some of them.

        Args:
            mapping: mapping of the questions.
            num_questions: how many, N.
            num_demonstrations: examples of the mapping before each.
            rng: source of randomness.

        Returns:
            Questions, token ids of shape (N, P), and right answers, shape
            (N, A). Tokens that are not scored are `NOT_SCORED`, the same ones
            in all answers.
        """

    def exact_rows(
        self,
        evaluator: ExactEvaluator,
        num_demonstrations: Sequence[int],
        is_asked_after_others: bool,
        rng: np.random.Generator,
    ) -> list[Row]:
        """Asks every question of each mapping, and scores the answers.

        `evaluator.answer` asks the questions. `score_answers` computes the
        scores that any task can have, among candidates that the task knows.

        Args:
            evaluator: the trained model.
            num_demonstrations: see `EvaluationConfig.exact_demonstrations`;
                not empty.
            is_asked_after_others: see `EvaluationConfig`.
            rng: source of randomness of the demonstrations.

        Returns:
            Rows (mapping, tier, prompt, metric, value). The mapping is one of
            the task's, or one of its pivots; the tier is in `TIERS`; the prompt
            is a `Prompt.name`.
        """


@runtime_checkable
class CutAnew(Protocol):
    """What `Data` may have besides: a text that is cut anew in each epoch."""

    def recut(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Returns the windows of one epoch, before they are shuffled.

        Args:
            rng: source of randomness; it depends on the seed and the epoch.

        Returns:
            Inputs and targets, of the shapes of `Data.inputs`.
        """
