"""What an experiment is: everything that decides a run, but the seed."""

import dataclasses
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

from tiny_gpt.analysis.loss_floor import Packing, inferring_floor
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.greedy import check_fits
from tiny_gpt.models.config import ModelConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.languages import find_route
from tiny_gpt.tasks.translation.mixture import MOST_SENTENCES, Mixture
from tiny_gpt.tasks.translation.vocabulary import (
    tokens_per_pair,
    tokens_per_word,
    vocabulary_size,
)

CLIPPINGS = ("global", "per_replica")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are Sinha 2024, sec. 3.1.

    Attributes:
        num_epochs: passes over all windows, pre-training included.
        num_pretraining_epochs: of them, those over the pre-training mixture,
            which come first.
        batch_size: windows per update, B; the last batch of an epoch is
            smaller.
        learning_rate: of Adam.
        clipnorm: largest norm of each variable's gradient (not of all
            together), as in Keras and as published; None for no clipping.
        clipping: "global" clips the gradient of the whole batch, so that
            devices change nothing; "per_replica" that of each device before
            they are summed, as Keras does on TensorFlow and Sinha 2024, sec.
            3.2 on 8 TPU cores. Only several devices of TensorFlow can.
        min_loss_drop: smallest fall of the loss that is an event, nats per
            token.
        loss_drop_window: epochs over which that fall is measured.
        weight_decay: share of each variable, times the learning rate, that an
            update takes away, decoupled from the gradient as in AdamW; 0, as
            in the paper, is Adam.

    Raises:
        ValueError: if a number is out of range.
    """

    num_epochs: int = 100
    num_pretraining_epochs: int = 0
    batch_size: int = 256
    learning_rate: float = 1e-4
    clipnorm: float | None = 1.0
    clipping: str = "global"
    min_loss_drop: float = 0.1
    loss_drop_window: int = 5
    weight_decay: float = 0.0

    def __post_init__(self):
        for name, least in (
            ("num_epochs", 1),
            ("batch_size", 1),
            ("loss_drop_window", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` must be at least {least}, a whole number. "
                    f"Received: {name}={value!r}"
                )
        number = self.num_pretraining_epochs
        is_whole = isinstance(number, int)
        if not is_whole or not 0 <= number < self.num_epochs:
            raise ValueError(
                "`num_pretraining_epochs` must lie in [0, num_epochs). "
                f"Received: {number!r} of {self.num_epochs}"
            )
        for name in ("learning_rate", "clipnorm", "min_loss_drop"):
            value = getattr(self, name)
            if name == "clipnorm" and value is None:
                continue
            if not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ValueError(
                    f"`{name}` must be above 0, and finite. "
                    f"Received: {name}={value!r}"
                )
        decay = self.weight_decay
        if not isinstance(decay, (int, float)) or not 0 <= decay < math.inf:
            raise ValueError(
                "`weight_decay` cannot be negative; it is finite. "
                f"Received: weight_decay={decay!r}"
            )
        if self.clipping not in CLIPPINGS:
            raise ValueError(
                f"`clipping` must be one of {CLIPPINGS}. "
                f"Received: clipping={self.clipping!r}"
            )


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
        pretraining: mixture of the pre-training epochs, in all but the counts
            of its components like `mixture`; None for none.
        pivots: two steps asked one after the other, e.g. "A->B->C".

    Raises:
        ValueError: if the parts do not fit together.
    """

    name: str
    condition: str
    mixture: Mixture
    eval_mappings: tuple[str, ...]
    tokens: str = "characters"
    model: ModelConfig = field(default_factory=GPTConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    pretraining: Mixture | None = None
    pivots: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("name", "condition"):
            value = getattr(self, name)
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value):
                raise ValueError(
                    f"`{name}` may become the name of a folder: letters, "
                    "digits, '_', '.' and '-', no '.' or '-' in front. "
                    f"Received: {name}={value!r}"
                )
        needed = vocabulary_size(self.mixture, self.tokens)
        if self.model.vocabulary_size != needed:
            raise ValueError(
                f"The mixture needs `vocabulary_size` {needed} as "
                f"{self.tokens}. Received: "
                f"vocabulary_size={self.model.vocabulary_size}"
            )
        if not self.eval_mappings:
            raise ValueError(
                "`eval_mappings` must name a mapping. Received: none"
            )
        for label in self.eval_mappings:
            find_route(label, self.mixture.given)
        for pivot in self.pivots:
            steps = pivot.split("->")
            if len(steps) != 3:
                raise ValueError(
                    "A pivot names three languages, 'X->Y->Z'. "
                    f"Received: {pivot!r}"
                )
            find_route(f"{steps[0]}->{steps[1]}", self.mixture.given)
            find_route(f"{steps[1]}->{steps[2]}", self.mixture.given)
        self._check_pretraining()
        evaluation = self.evaluation
        if evaluation.decoding != "published":
            self._check_demonstrations(evaluation.num_demonstrations)
        num_sentences = self.mixture.num_sentences
        if evaluation.exact_demonstrations and num_sentences > MOST_SENTENCES:
            raise ValueError(
                "The exact evaluation asks every sentence, at most "
                f"{MOST_SENTENCES}; leave `exact_demonstrations` empty. "
                f"Received: {num_sentences} sentences"
            )
        for number in evaluation.exact_demonstrations:
            self._check_demonstrations(number)

    def _check_demonstrations(self, number: int) -> None:
        pair = tokens_per_pair(self.mixture, self.tokens)
        answer = tokens_per_word(self.tokens) * self.mixture.sentence_length
        num_prompt = number * pair + pair // 2
        check_fits(num_prompt, answer, self.model.sequence_length)

    def _check_pretraining(self) -> None:
        first, num_epochs = self.pretraining, self.train.num_pretraining_epochs
        if (first is None) != (num_epochs == 0):
            raise ValueError(
                "A pre-training mixture needs epochs, and the other way "
                f"round. Received: num_pretraining_epochs={num_epochs} with "
                f"pretraining={first}"
            )
        if first is None:
            return
        mappings = [
            [c.mapping for c in m.components] for m in (first, self.mixture)
        ]
        alike = replace(first, components=self.mixture.components)
        if mappings[0] != mappings[1] or alike != self.mixture:
            raise ValueError(
                "A pre-training mixture has the languages and the mappings of "
                "the mixture, in the same order, so that both are drawn "
                f"alike. Received: {first} before {self.mixture}"
            )
        updates = [
            _num_updates(mixture, self) for mixture in (first, self.mixture)
        ]
        if updates[0] != updates[1]:
            raise ValueError(
                "An epoch has as many updates before as after pre-training; "
                "`num_repeats` can make them equal. "
                f"Received: {updates[0]} and {updates[1]}"
            )


def config_of(experiment: Experiment) -> dict[str, Any]:
    """Returns all fields of an experiment, as a record or manifest has them.

    What came later is left out where it has its first value, so that what was
    written before still belongs to the same experiment: `weight_decay` where
    it is 0, the class of the network where it is `GPTConfig`.
    """
    config = dataclasses.asdict(experiment)
    if not experiment.train.weight_decay:
        del config["train"]["weight_decay"]
    network = type(experiment.model)
    if network is not GPTConfig:
        config["model"]["class"] = (
            f"{network.__module__}.{network.__qualname__}"
        )
    return config


def updates_per_epoch(experiment: Experiment) -> int:
    """Returns optimizer updates per epoch: batches that hold all windows."""
    return _num_updates(experiment.mixture, experiment)


def _num_updates(mixture: Mixture, experiment: Experiment) -> int:
    num_tokens = mixture.num_shown * tokens_per_pair(mixture, experiment.tokens)
    num_windows = math.ceil(num_tokens / (experiment.model.sequence_length + 1))
    return math.ceil(num_windows / experiment.train.batch_size)


def loss_floor(experiment: Experiment) -> float:
    """Returns the lowest loss that no memory of the text is needed for.

    Mappings known, task and offset inferred (`inferring_floor`), nats per
    token.
    """
    packing, shown = packing_of(experiment)
    return inferring_floor(packing, shown)


def packing_of(experiment: Experiment) -> tuple[Packing, dict[str, int]]:
    """Returns the packing of an experiment, and the pairs of each mapping."""
    mixture = experiment.mixture
    packing = Packing(
        mixture.alphabet_size,
        mixture.sentence_length,
        experiment.model.sequence_length,
        tokens_per_word(experiment.tokens),
    )
    return packing, {c.mapping: c.num_shown for c in mixture.components}
