"""The grid of a sweep: axes, seeds and success; each cell an experiment."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tiny_gpt.evaluation.data import TIERS
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import METRICS
from tiny_gpt.experiment import Experiment
from tiny_gpt.sweep.axes import CONDITION, NAMED, has_field, with_values


@dataclass(frozen=True)
class Success:
    """The criterion of success of a run.

    Attributes:
        mapping: mapping of the questions, also the sparse one of
            `sparse_pairs`.
        metric: e.g. "accuracy_aligned".
        tier: of the exact evaluation at the end, e.g. "unseen_sentences", or
            "all", the sample that is asked while the model trains.
        threshold: least value that is a success.

    Raises:
        ValueError: if `threshold` is not a finite number, or tier or metric
            are unknown.
    """

    mapping: str
    metric: str = "accuracy_aligned"
    tier: str = "unseen_sentences"
    threshold: float = 0.8

    def __post_init__(self):
        if not isinstance(self.threshold, (int, float)) or not (
            abs(self.threshold) < float("inf")
        ):
            raise ValueError(
                "`threshold` must be a finite number. "
                f"Received: threshold={self.threshold!r}"
            )

        if self.tier not in (*TIERS, "all"):
            raise ValueError(
                f"`tier` must be one of {(*TIERS, 'all')}. "
                f"Received: tier={self.tier!r}"
            )
        if self.tier != "all" and self.metric not in METRICS:
            raise ValueError(
                f"`metric` must be one of {METRICS}. "
                f"Received: metric={self.metric!r}"
            )

    def prompt(self, evaluation: EvaluationConfig) -> str:
        """Returns the prompt of the value that counts."""
        if self.tier == "all":
            return evaluation.prompt
        return f"{evaluation.exact_demonstrations[0]}_demonstrations"

    def check(self, experiment: Experiment) -> None:
        """Checks that an experiment measures this value.

        Raises:
            ValueError: if it does not.
        """
        config, task = experiment.evaluation, experiment.task
        is_asked = self.mapping in (
            *task.eval_mappings,
            *(task.pivots if self.tier == "all_sentences" else ()),
        )
        is_measured = bool(config.exact_demonstrations)
        if self.tier == "all":
            is_measured = self.metric in config.metrics
        if not is_asked or not is_measured:
            raise ValueError(
                "What counts as success must be measured: a mapping of "
                "`eval_mappings`, and a tier of the exact evaluation, or "
                f"'all' with one of {config.metrics}. Received: {self} with "
                f"eval_mappings={task.eval_mappings}, "
                f"exact_demonstrations={config.exact_demonstrations}"
            )


@dataclass(frozen=True)
class Cell:
    """One point of the grid.

    Attributes:
        values: value by axis.
        experiment: its experiment.
    """

    values: Mapping[str, Any]
    experiment: Experiment


@dataclass(frozen=True)
class Sweep:
    """A grid of experiments, with seeds.

    An axis is the path of a field of the experiment, e.g.
    "train.learning_rate", "model.num_layers", "mixture.sentence_length" or
    "mixture.components.A->C.num_held_out", or one of these names:

        condition       one of `bases`
        sparse_pairs    pairs of the mapping that counts
        majority_pairs  pairs of each other mapping that has any
        unique_pairs    pairs of the mapping that counts, all different, each
                        repeated to make `shown_pairs` (by default those of
                        the base), so that updates stay equal
        shown_pairs     see `unique_pairs`
        alphabet_size   words per language; the vocabulary follows
        width           heads times width of a head; changes the latter
        epochs, learning_rate, weight_decay
        updates         all updates of a run; sets the nearest number of
                        epochs

    Success is expected to rise along the first numeric axis. The second is
    the other axis of a map.

    Attributes:
        name: name of the sweep, in frames and files.
        bases: experiments that cells start from, by condition; one, unless
            "condition" is an axis.
        axes: values of each axis, at least one.
        seeds: non-negative integers, the same for all cells.
        success: criterion of success.
        fixed: values of further axes, the same in all cells.
        cells: all points of the grid; the last axis changes fastest.

    Raises:
        ValueError: if an axis is unknown, empty or has a value twice, or a
            cell is not a valid experiment; the error names all such cells.
    """

    name: str
    bases: Mapping[str, Experiment]
    axes: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    success: Success
    fixed: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        seeds = tuple(self.seeds)
        is_valid = all(type(s) is int and s >= 0 for s in seeds)
        if not seeds or not is_valid or len(set(seeds)) < len(seeds):
            raise ValueError(
                "`seeds` must be different non-negative integers, at least "
                f"one. Received: seeds={list(seeds)}"
            )
        _check_axes(self)
        object.__setattr__(self, "cells", self._build_cells())

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """The experiment of each cell."""
        return tuple(cell.experiment for cell in self.cells)

    def _build_cells(self) -> tuple[Cell, ...]:
        cells, refused = [], []
        for point in itertools.product(*self.axes.values()):
            values = dict(zip(self.axes, point, strict=True))
            try:
                cells.append(Cell(values, self._experiment(values)))
            except (ValueError, TypeError, AttributeError) as error:
                refused.append(f"  {describe_point(values)}: {error}")
        if refused:
            raise ValueError(
                "Every cell of a sweep must be a valid experiment. Received: "
                f"{len(refused)} of {len(refused) + len(cells)} that are "
                "not:\n" + "\n".join(refused)
            )
        _check_different(cells)
        return tuple(cells)

    def _experiment(self, values: Mapping[str, Any]) -> Experiment:
        label = values.get(CONDITION, next(iter(self.bases)))
        experiment = with_values(
            self.bases[label],
            {**self.fixed, **values},
            (self.name, label),
            self.success.mapping,
        )
        self.success.check(experiment)
        return experiment


def _check_different(cells: Sequence[Cell]) -> None:
    """Refuses cells with the same experiment, which would count twice."""
    points: dict[Experiment, list[str]] = {}
    for cell in cells:
        content = replace(cell.experiment, name="cell", condition="cell")
        points.setdefault(content, []).append(describe_point(cell.values))
    same = [" and ".join(some) for some in points.values() if len(some) > 1]
    if same:
        raise ValueError(
            "Cells of a sweep must be different experiments, or one run would "
            f"count as two. Received: {'; '.join(same)}"
        )


def describe_point(values: Mapping[str, Any]) -> str:
    """Returns values as text, e.g. "sparse_pairs=4, alphabet_size=8"."""
    return ", ".join(f"{axis}={value}" for axis, value in values.items())


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple, range)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _check_axes(sweep: Sweep) -> None:
    if not sweep.axes or not all(len(v) for v in sweep.axes.values()):
        raise ValueError(
            "A sweep needs at least one axis, and each axis a value. "
            f"Received: axes={dict(sweep.axes)}"
        )
    values = [*sweep.fixed.items(), *sweep.axes.items()]
    strange = [name for name, value in values if not _is_plain(value)]
    if strange:
        raise ValueError(
            "Values must be numbers, words, true, false, none, or lists of "
            f"them. Received: {', '.join(strange)}"
        )
    both = sorted(set(sweep.axes) & set(sweep.fixed))
    twice = [
        axis
        for axis, values in sweep.axes.items()
        if len({json.dumps(v) for v in values}) < len(values)
    ]
    if both or twice:
        raise ValueError(
            "An axis has each value once, and is not fixed as well. "
            f"Received: {', '.join([*both, *twice])}"
        )
    known = sweep.bases.keys()
    asked = sweep.axes.get(CONDITION, list(known))
    if not known or set(asked) - set(known) or CONDITION in sweep.fixed:
        raise ValueError(
            f"`condition` must be one of {sorted(known)}, and an axis. "
            f"Received: {list(asked)}"
        )
    if CONDITION not in sweep.axes and len(known) > 1:
        raise ValueError(
            "Several bases need an axis 'condition'. "
            f"Received: bases={sorted(known)}, axes={list(sweep.axes)}"
        )
    unknown = [
        axis
        for axis in (*sweep.axes, *sweep.fixed)
        if not all(has_field(sweep.bases[x], axis) for x in asked)
    ]
    if unknown:
        raise ValueError(
            f"An axis must be one of {NAMED} or the path of a field, e.g. "
            f"'train.batch_size'. Received: {', '.join(map(repr, unknown))}"
        )
