"""Compiled programs on JAX, shared by all runs of one shape.

Tracing and compiling a tiny model takes longer than many of its epochs. This
process therefore keeps the programs of the shapes that were used last.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from tiny_gpt.runtime.backend import building_for, target
from tiny_gpt.runtime.programs import Snapshot, compile_for_model
from tiny_gpt.training.compiled_model import CompiledModel, numerics, shape_of
from tiny_gpt.training.epoch_program import EpochProgram
from tiny_gpt.training.run_files import state_of
from tiny_gpt.training.run_setup import Run, RunSetup

# The number of windows is rounded up, so that programs are shared.
WINDOWS = 64
MOST_SHAPES = 64  # that are kept; a grid asks for its shapes in turn


class CompiledPrograms:
    """The compiled programs that all runs of one shape share.

    Args:
        like: one of the runs.
        devices: devices that divide the batches of a run; empty for none.

    Attributes:
        model: its layers are traced; the weights of a run are in the run's
            state.
        evaluation: asks the questions, during training and at the end.
        forward: logits of windows, function of a source of weights.
        initial: a state, for its shapes.
    """

    def __init__(self, like: RunSetup, devices: Sequence[Any] = ()):
        compiled = CompiledModel(like.experiment, None)
        self.model, self.evaluation = compiled.model, compiled.evaluation
        self.initial = compiled.initial
        self._compiled = compiled
        self._lock = threading.Lock()
        self.forward = compile_for_model(
            self.model, lambda x: self.model(x, training=False)
        )
        self._devices, self._target = devices, target()
        self._epochs: dict[int, EpochProgram] = {}

    def epoch(self, num_runs: int) -> EpochProgram:
        """Returns the epoch program of a seed batch; built once per size."""
        with self._lock:
            if num_runs not in self._epochs:
                # A thread may be the first to ask, which has no target.
                with building_for(self._target.platform, self._target.rewrite):
                    self._epochs[num_runs] = EpochProgram(
                        self.model, num_runs, self._devices
                    )
            return self._epochs[num_runs]

    def start(self, setup: RunSetup) -> list[np.ndarray]:
        """Returns the saved state of a run, or else its initial state."""
        with self._lock:  # one model, many runs
            self._compiled.start(setup)
            return state_of(self.model)

    def snapshot(self, state: Sequence[Any]) -> Snapshot:
        """Returns the weights of a state, for use in place of a model."""
        values = state[: len(self.model.variables)]
        return Snapshot(self.model, values, self._predict)

    def _predict(self, snapshot: Snapshot, x: np.ndarray) -> np.ndarray:
        filled = np.zeros((round_up(len(x), WINDOWS), *x.shape[1:]), x.dtype)
        filled[: len(x)] = x
        return np.asarray(self.forward(snapshot, filled))[: len(x)]

    def finish(self, setup: RunSetup, state: Sequence[Any]) -> Run:
        """Evaluates a trained run and ends its record, with its own model."""
        model = setup.experiment.model.build()
        for variable, value in zip(
            model.variables, state[: len(model.variables)], strict=True
        ):
            variable.assign(value)
        return setup.finish(self.snapshot(state), self.evaluation, model)


_kept: OrderedDict[Any, CompiledPrograms] = OrderedDict()
_lock = threading.Lock()


def programs_for(
    like: RunSetup, devices: Sequence[Any] = ()
) -> CompiledPrograms:
    """Returns the programs of one shape and precision, compiled once.

    Any thread may call this. The `MOST_SHAPES` used last are kept.

    Args:
        like: one of the runs.
        devices: devices that divide the batches of a run; empty for none.
    """
    key = shape_of(like.experiment), tuple(devices), numerics()
    with _lock:
        if key not in _kept:
            _kept[key] = CompiledPrograms(like, devices)
            while len(_kept) > MOST_SHAPES:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]


def forget_programs() -> None:
    """Frees the kept programs."""
    with _lock:
        _kept.clear()


def round_up(number: int, multiple: int) -> int:
    """Returns the smallest multiple that is not below a number."""
    return -(-number // multiple) * multiple
