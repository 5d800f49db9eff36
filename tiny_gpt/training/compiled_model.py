"""A compiled model and its evaluation, for all runs of one shape."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import keras

from tiny_gpt.evaluation.evaluate import CompiledEvaluation
from tiny_gpt.experiment import Experiment, has_unscored_targets
from tiny_gpt.runtime.backend import form, target
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.environment import current_precision
from tiny_gpt.training.replicas import copy_weights
from tiny_gpt.training.run_files import set_state, state_of
from tiny_gpt.training.run_setup import Run, RunSetup
from tiny_gpt.training.update import compile_gpt

MOST_KEPT = 8  # that `fit` has compiled


class CompiledModel:
    """A compiled model that trains one run after the other.

    Args:
        experiment: one of those whose shape is the model's (`shape_of`).
        placement: devices of `fit`; None for the backend's first.

    Attributes:
        model: the model that is trained.
        asked: the model that is asked questions: itself, or a copy on one
            device.
        evaluation: asks the questions.
        initial: a state, for its shapes.
    """

    def __init__(self, experiment: Experiment, placement: Placement | None):
        is_replicated = placement is not None and placement.is_replicated
        self.replicas = placement if is_replicated else None
        with self._scope():
            self.model = experiment.model.build()
            compile_gpt(
                self.model,
                experiment.train,
                self.replicas,
                has_unscored_targets(experiment),
            )
            self.initial = state_of(self.model)
        self.asked = _build(experiment) if self.replicas else self.model
        self.evaluation = CompiledEvaluation(
            experiment.evaluation,
            self.asked,
            experiment.model,
            experiment.task.answer_length,
        )

    def start(self, setup: RunSetup) -> None:
        """Gives the model the initial or saved state of a run."""
        with self._scope():
            set_state(self.model, self.initial)
            rate = setup.experiment.train.learning_rate
            self.model.optimizer.learning_rate = rate
            setup.start(self.model)

    def finish(self, setup: RunSetup) -> Run:
        """Evaluates the trained run and ends its record, with its own model."""
        if self.replicas:
            copy_weights(self.model, self.asked)
        own = _build(setup.experiment)
        copy_weights(self.asked, own)
        return setup.finish(self.asked, self.evaluation, own)

    def _scope(self) -> contextlib.AbstractContextManager:
        if self.replicas is None:
            return contextlib.nullcontext()
        return self.replicas.scope()


_kept: OrderedDict[Any, CompiledModel] = OrderedDict()
_lock = threading.Lock()


@contextlib.contextmanager
def borrow_model(
    experiment: Experiment, placement: Placement | None, is_kept: bool = True
) -> Iterator[CompiledModel]:
    """Lends a compiled model of a shape to one run, and keeps it afterwards.

    Nobody else has it meanwhile. The `MOST_KEPT` used last are kept; not one
    whose run breaks off on JAX, where an epoch gives the memory of the
    variables away.

    Args:
        experiment: what is run.
        placement: devices; None for the backend's first.
        is_kept: whether other runs may have it; else a new one is lent.
    """
    if not is_kept:
        yield CompiledModel(experiment, placement)
        return
    devices = placement and (placement.devices, id(placement.strategy))
    clipping = experiment.train.clipping
    key = shape_of(experiment), clipping, devices, numerics()
    with _lock:
        compiled = _kept.pop(key, None)
    compiled = compiled or CompiledModel(experiment, placement)
    is_whole = keras.backend.backend() != "jax"
    try:
        yield compiled
        is_whole = True
    finally:
        if is_whole:
            _keep(key, compiled)


def _keep(key: Any, compiled: CompiledModel) -> None:
    with _lock:
        _kept[key] = compiled
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)


def _build(experiment: Experiment) -> keras.Model:
    """Returns a model that is asked, and not trained."""
    model = experiment.model.build()
    if not form().has_xla:  # Keras would compile its predictions all the same
        model.jit_compile = False
    return model


def forget_models() -> None:
    """Frees the models that are kept."""
    with _lock:
        _kept.clear()


def shape_of(experiment: Experiment) -> tuple[Any, ...]:
    """Returns what runs that share programs have in common."""
    train = experiment.train
    return (
        experiment.model,
        train.batch_size,
        train.clipnorm,
        train.weight_decay,
        train.optimizer,
        experiment.evaluation.decoding,
        experiment.task.answer_length,
        has_unscored_targets(experiment),
    )


def numerics() -> tuple[Any, ...]:
    """Returns the numbers and the target that programs depend on."""
    formats = (
        keras.config.floatx(),
        keras.config.dtype_policy().name,
        target(),
    )
    if keras.backend.backend() != "jax":
        return *formats, current_precision()
    import jax

    flags = ("jax_default_matmul_precision", "jax_enable_x64")
    return *formats, *(getattr(jax.config, flag) for flag in flags)
