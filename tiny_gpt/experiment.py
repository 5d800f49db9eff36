"""The configuration of an experiment: all that decides a run but the seed."""

import dataclasses
import functools
import hashlib
import inspect
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from tiny_gpt.evaluation.evaluate import EvaluationConfig, task_name
from tiny_gpt.models.config import ModelConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.runtime.checks import check_choice, check_whole
from tiny_gpt.tasks.task import Task
from tiny_gpt.tasks.translation.task import Translation

TaskT = TypeVar("TaskT", bound=Task)
CLIPPINGS = ("global", "per_replica")
# Fields that came later, and their first values, see `config_of`.
FIRST_VALUES = {
    "weight_decay": 0,
    "optimizer": "adam",
    "rotates": False,
    "has_target_tag": False,
    "together": (),
    "window_packing": "stream",
    "scored": "all",
    "bidirectional": (),
}
OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class TrainConfig:
    """Training settings; the defaults are those of Sinha 2024, sec. 3.1.

    Attributes:
        num_epochs: passes over all windows, pre-training included.
        num_pretraining_epochs: how many of them, the first, read the
            pre-training mixture.
        batch_size: windows per update, B; the last batch of an epoch is
            smaller.
        learning_rate: of the optimizer.
        clipnorm: largest norm of each variable's gradient (not of all
            together), as in Keras and as published; None for no clipping.
        clipping: "global" clips the gradient of the whole batch, so the
            number of devices changes nothing. "per_replica" clips the
            gradient of each device before they are summed, as Keras does on
            TensorFlow and Sinha 2024, sec. 3.2 on 8 TPU cores. It needs
            several devices of TensorFlow.
        min_loss_drop: smallest fall of the loss that counts as an event, nats
            per token.
        loss_drop_window: epochs over which that fall is measured.
        weight_decay: share of each variable, times the learning rate, that an
            update takes away, decoupled from the gradient as in AdamW; 0, as
            in the paper, for none.
        optimizer: "adam", as published, or "sgd": plain gradient descent on
            each batch, without momentum, as in the proof of Sinha 2024,
            prop. 1. Gradients are clipped for both, see `clipnorm`.

    Raises:
        ValueError: if a number is out of range, or a choice unknown.
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
    optimizer: str = "adam"

    def __post_init__(self):
        for name, least in (
            ("num_epochs", 1),
            ("batch_size", 1),
            ("loss_drop_window", 1),
        ):
            value = getattr(self, name)
            check_whole(name, value, least)
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
        check_choice("clipping", self.clipping, CLIPPINGS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)


@dataclass(frozen=True)
class Experiment(Generic[TaskT]):
    """One condition of an experiment: everything but the seed.

    Attributes:
        name: the question it belongs to, e.g. "triangle".
        condition: e.g. "sparse_a_to_c".
        task: what is learned.
        model: the network.
        train: the optimisation.
        evaluation: the questions.

    Raises:
        ValueError: if the parts do not fit together.
    """

    name: str
    condition: str
    task: TaskT
    model: ModelConfig = field(default_factory=GPTConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self):
        for name in ("name", "condition"):
            value = getattr(self, name)
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value):
                raise ValueError(
                    f"`{name}` may become the name of a folder: letters, "
                    "digits, '_', '.' and '-', no '.' or '-' in front. "
                    f"Received: {name}={value!r}"
                )
        needed = self.task.vocabulary_size
        if self.model.vocabulary_size != needed:
            raise ValueError(
                f"The task needs `vocabulary_size` {needed}. Received: "
                f"vocabulary_size={self.model.vocabulary_size}"
            )
        self._check_names()
        self.task.check(self.model.sequence_length, self.evaluation)
        num_phases = len(self.task.num_windows(self.model.sequence_length))
        num_epochs = self.train.num_pretraining_epochs
        if (num_phases == 1) != (num_epochs == 0):
            raise ValueError(
                "Data of a pre-training need epochs, and the other way "
                f"round. Received: num_pretraining_epochs={num_epochs} with "
                f"{num_phases} phases of data"
            )
        updates = _updates_by_phase(self)
        if len(set(updates)) > 1:
            raise ValueError(
                "An epoch has as many updates before as after pre-training; "
                "`num_repeats` can make them equal. "
                f"Received: {' and '.join(map(str, updates))}"
            )

    def _check_names(self) -> None:
        if not self.task.eval_mappings:
            raise ValueError(
                "`eval_mappings` must name a mapping. Received: none"
            )
        read = set(self.task.read_mappings) - set(self.task.eval_mappings)
        labels = [*self.task.eval_mappings, *sorted(read)]
        names = {task_name(label) for label in labels}
        are_plain = all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
        if not are_plain or len(names) < len(labels):
            raise ValueError(
                "Mappings are named with letters, digits, '_' and '->', stand "
                f"once and differ in more than case. Received: {labels}"
            )
        shared = _names_of(self.task) & _names_of(self)
        if shared:
            raise ValueError(
                "A task's fields need names of their own beside an "
                f"experiment's. Received: {', '.join(sorted(shared))}"
            )


def _names_of(config: Any) -> set[str]:
    return {f.name for f in dataclasses.fields(config)}


def config_of(experiment: Experiment) -> dict[str, Any]:
    """Returns all fields of an experiment, as records and manifests hold them.

    The task's fields are at the same level as the experiment's. Entries that
    were added later are left out at their first value, so that older files
    still belong to the same experiment: `FIRST_VALUES`, the task's class if
    it is `Translation`, the network's if it is `GPTConfig`. "code" has a hash
    of the file that defines a task or network of one's own, so that a run is
    made again after a change of it. What that file imports is not in it, and
    a class that was typed into a notebook has no file.
    """
    config = dataclasses.asdict(experiment, dict_factory=_without_first_values)
    config |= config.pop("task")
    if type(experiment.model) is not GPTConfig:
        config["model"]["class"] = _class_of(experiment.model)
    if type(experiment.task) is not Translation:
        config["task"] = _class_of(experiment.task)
    parts: tuple[Any, ...] = (experiment.task, experiment.model)
    code = {
        _class_of(part): _hash_of_file(part.__class__)
        for part in parts
        if not type(part).__module__.startswith("tiny_gpt.")
    }
    return config | ({"code": code} if code else {})


def _without_first_values(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: value
        for name, value in fields
        if name not in FIRST_VALUES or value != FIRST_VALUES[name]
    }


def _class_of(config: Any) -> str:
    return f"{type(config).__module__}.{type(config).__qualname__}"


@functools.cache  # the file that was imported, whatever becomes of it
def _hash_of_file(kind: type) -> str:
    try:
        path = Path(inspect.getfile(kind))
    except (OSError, TypeError):  # typed into a notebook
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def updates_per_epoch(experiment: Experiment) -> int:
    """Returns optimizer updates per epoch, one for each batch."""
    return _updates_by_phase(experiment)[-1]


def _updates_by_phase(experiment: Experiment) -> list[int]:
    numbers = experiment.task.num_windows(experiment.model.sequence_length)
    return [math.ceil(n / experiment.train.batch_size) for n in numbers]


def has_unscored_targets(experiment: Experiment) -> bool:
    """Tells whether the loss leaves targets out, see `Data.targets`."""
    return getattr(experiment.task, "has_unscored_targets", False)


def loss_floor(experiment: Experiment) -> float:
    """Returns the lowest loss that is possible without memorising the text.

    Nats per token, see `Task.floors`; NaN if it is not known.
    """
    floors = experiment.task.floors(experiment.model.sequence_length)
    return floors.get("inferred", math.nan)
