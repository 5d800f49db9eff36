"""What an experiment is: everything that decides a run, but the seed."""

import math
from dataclasses import dataclass, field

from tiny_gpt.analysis.events import find_loss_drops
from tiny_gpt.decode import check_fits
from tiny_gpt.evaluate import EvaluationConfig
from tiny_gpt.languages import find_route
from tiny_gpt.mixture import Mixture
from tiny_gpt.model import GPTConfig
from tiny_gpt.vocabulary import (
    tokens_per_pair,
    tokens_per_word,
    vocabulary_size,
)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are Sinha 2024, sec. 3.1.

    Attributes:
        num_epochs: passes over all windows.
        batch_size: windows per update, B; the last batch of an epoch is
            smaller.
        learning_rate: of Adam.
        clipnorm: largest norm of each variable's gradient (not of all
            together), as in Keras and as published; None for no clipping.
        min_loss_drop: smallest fall of the loss that is an event, nats per
            token.
        loss_drop_window: epochs over which that fall is measured.

    Raises:
        ValueError: if a number is out of range.
    """

    num_epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-4
    clipnorm: float | None = 1.0
    min_loss_drop: float = 0.1
    loss_drop_window: int = 5

    def __post_init__(self):
        for name in ("num_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. "
                    f"Received: {name}={getattr(self, name)}"
                )
        for name in ("learning_rate", "clipnorm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(
                    f"`{name}` must be above 0. Received: {name}={value}"
                )
        find_loss_drops([], self.min_loss_drop, self.loss_drop_window)


@dataclass(frozen=True)
class Experiment:
    """One condition of an experiment: everything but the seed.

    Attributes:
        name: the question it belongs to, e.g. "triangle".
        condition: e.g. "sparse_a_to_c".
        mixture: languages and sentence pairs.
        eval_mappings: mappings asked for, e.g. ("A->B", "B->C", "A->C").
        tokens: tokenisation, "characters" or "words" (`Vocabulary`).
        model: the network.
        train: the optimisation.
        evaluation: the questions.

    Raises:
        ValueError: if the parts do not fit together.
    """

    name: str
    condition: str
    mixture: Mixture
    eval_mappings: tuple[str, ...]
    tokens: str = "characters"
    model: GPTConfig = field(default_factory=GPTConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self):
        needed = vocabulary_size(self.mixture, self.tokens)
        if self.model.vocabulary_size != needed:
            raise ValueError(
                f"The mixture needs `vocabulary_size` {needed} as "
                f"{self.tokens}. Received: "
                f"vocabulary_size={self.model.vocabulary_size}"
            )
        if not self.eval_mappings:
            raise ValueError("`eval_mappings` must name a mapping.")
        for label in self.eval_mappings:
            find_route(label, self.mixture.given)
        if self.evaluation.decoding != "published":
            pair = tokens_per_pair(self.mixture, self.tokens)
            answer = tokens_per_word(self.tokens) * self.mixture.sentence_length
            num_prompt = self.evaluation.num_demonstrations * pair + pair // 2
            check_fits(num_prompt, answer, self.model.sequence_length)


def updates_per_epoch(experiment: Experiment) -> int:
    """Returns optimizer updates per epoch: batches that hold all windows."""
    mixture = experiment.mixture
    num_pairs = sum(c.num_pairs for c in mixture.components)
    num_tokens = num_pairs * tokens_per_pair(mixture, experiment.tokens)
    num_windows = math.ceil(num_tokens / (experiment.model.sequence_length + 1))
    return math.ceil(num_windows / experiment.train.batch_size)
