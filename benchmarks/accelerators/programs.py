"""Every compiled program of a run, with arguments that have shapes alone.

They are built as for a platform (`building_for`), and can then be lowered or
compiled for it on a machine that has none.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tiny_gpt.evaluation.evaluate import GRADIENT_WINDOWS
from tiny_gpt.evaluation.every_sentence import BATCH_SIZE
from tiny_gpt.evaluation.greedy import DECODINGS, GreedyDecoder
from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.programs import JaxProgram
from tiny_gpt.training.compiled_runs import CompiledPrograms
from tiny_gpt.training.epoch_program import EpochProgram
from tiny_gpt.training.run_setup import set_up_run
from tiny_gpt.training.train_batch import epoch_batches

NAMES = (
    "epoch",
    "epoch of many seeds",
    "divided epoch",
    "fit step",
    *(f"decoder, {mode}" for mode in DECODINGS),
    "exact evaluation",
    "gradient",
    "forward",
)
WINDOWS = 640  # of `forward`: as many as loss by mapping asks at once


@dataclass(frozen=True)
class Case:
    """One program.

    Attributes:
        name: one of `NAMES`.
        program: the program.
        args: its arguments, `jax.ShapeDtypeStruct`s.
        is_training: whether it updates the state that it is given.
    """

    name: str
    program: JaxProgram
    args: tuple[Any, ...]
    is_training: bool = False


class Programs:
    """The programs of an experiment.

    Args:
        experiment: whose programs they are.
        sharding: where the arguments are; None for nowhere.
    """

    def __init__(self, experiment: Experiment, sharding: Any = None):
        self._experiment, self._sharding = experiment, sharding
        self._setup = set_up_run(experiment, seed=0)
        self._compiled = CompiledPrograms(self._setup)
        self._model = self._compiled.model
        self._values = [self._of(v.value) for v in self._model.variables]

    def case(self, name: str, num_seeds: int = 4, devices: Any = ()) -> Case:
        """Returns one program.

        Args:
            name: one of `NAMES`.
            num_seeds: of "epoch of many seeds".
            devices: of "divided epoch"; they need not be there.
        """
        if name == "epoch":
            return self._epoch(name)
        if name == "epoch of many seeds":
            return self._epoch(name, num_seeds)
        if name == "divided epoch":
            return self._divided(devices)
        if name == "fit step":
            return self._fit_step()
        if name.startswith("decoder"):
            return self._decoder(name)
        evaluation: Any = self._compiled.evaluation
        functions: dict[str, tuple[Any, tuple[Any, ...]]] = {
            "exact evaluation": (
                evaluation.answers.probabilities,
                (self._ids(BATCH_SIZE, self._length),),
            ),
            "gradient": (
                evaluation.gradient.compiled,
                (
                    self._ids(GRADIENT_WINDOWS, self._length),
                    self._ids(GRADIENT_WINDOWS, self._length),
                    self._shape((GRADIENT_WINDOWS, self._length), "float32"),
                ),
            ),
            "forward": (
                self._compiled.forward,
                (self._ids(WINDOWS, self._length),),
            ),
        }
        function, args = functions[name]
        return Case(name, function.program, (self._values, *args))

    @property
    def _length(self) -> int:
        return self._experiment.model.sequence_length

    def _epoch(self, name: str, num_seeds: int = 1) -> Case:
        lead = (num_seeds,) if num_seeds > 1 else ()
        *batches, _ = epoch_batches(self._setup, 0)
        args = (
            [self._of(v, lead) for v in self._compiled.initial],
            *(self._of(x, lead) for x in batches),
            self._shape((), "int32"),
        )
        program = self._compiled.epoch(num_seeds).program
        return Case(name, program, args, is_training=True)

    def _divided(self, devices: Any) -> Case:
        epoch = EpochProgram(self._model, 1, devices)
        *batches, _ = epoch_batches(self._setup, 0)
        shapes = epoch.shapes(self._compiled.initial, *batches)
        return Case("divided epoch", epoch.program, shapes, is_training=True)

    def _fit_step(self) -> Case:
        model = self._model
        size = self._experiment.train.batch_size
        state = tuple(
            [self._of(v.value) for v in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            )
        )
        data = self._ids(size, self._length), self._ids(size, self._length)
        program = JaxProgram(model.train_step, donated=(0,))
        return Case("fit step", program, (state, data), is_training=True)

    def _decoder(self, name: str) -> Case:
        mode = name.removeprefix("decoder, ")
        network, task = self._experiment.model, self._experiment.task
        sizes = network.vocabulary_size, network.sequence_length
        decoder = GreedyDecoder(self._model, mode, task.answer_length, *sizes)
        length = self._length
        if mode != "published":  # prompt and answer fit the window
            length -= task.answer_length - 1
        prompts = self._ids(self._experiment.evaluation.num_sentences, length)
        return Case(name, decoder.compiled.program, (self._values, prompts))

    def _ids(self, *shape: int) -> jax.ShapeDtypeStruct:
        return self._shape(shape, "int32")

    def _of(self, x: Any, lead: tuple[int, ...] = ()) -> jax.ShapeDtypeStruct:
        return self._shape((*lead, *x.shape), x.dtype)

    def _shape(self, shape: Any, dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(
            tuple(shape), np.dtype(dtype), sharding=self._sharding
        )
