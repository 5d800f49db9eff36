"""The scores of a set: those of `evaluate`, of Keras metrics, of functions."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks import sets
from tiny_gpt.callbacks.measuring import num_replicas
from tiny_gpt.callbacks.outputs import predict


class Scorer:
    """Scores sets with one model.

    Args:
        model: a compiled model.
        scores: by name, the name of a Keras metric, a Keras metric, or a
            function of (outputs, right answers); None for what
            `model.evaluate` returns.

    Raises:
        ValueError: if the model is not compiled.
    """

    def __init__(self, model: Any, scores: Mapping[str, Any] | None):
        self._model = model
        self._functions: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._is_compiled = scores is None
        for name, score in (scores or {}).items():
            is_metric = isinstance(score, (str, keras.metrics.Metric))
            (self._metrics if is_metric else self._functions)[name] = score
        self._others = self._with_metrics() if self._metrics else None

    def try_set(
        self, name: str, data: Any, batch_size: int | None
    ) -> tuple[str, ...]:
        """Scores the first batch of a set.

        Returns:
            Names of the scores.

        Raises:
            ValueError: if it cannot be scored.
        """

        def first():
            return sets.first_batch(data, batch_size)

        try:
            _build(self._model, first()["x"])
            found = self._evaluated(name, first)
            if self._is_compiled and self._lacks_accuracy(found):
                self._metrics = {"accuracy": "accuracy"}
                self._others = self._with_metrics()
                found |= self._evaluated(name, first)
            if self._functions:
                read = data
                if sets.are_arrays(data):
                    size = batch_size or sets.BATCH_SIZE
                    read = keras.tree.map_structure(
                        lambda x: x[:size], tuple(data)
                    )
                found |= self._of_functions(read, batch_size, 1)
        except Exception as error:
            raise ValueError(
                "A set is something that `model.evaluate` scores. "
                f"Received: set {name!r}, {sets.describe(data)}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return tuple(found)

    def score(
        self,
        name: str,
        data: Any,
        batch_size: int | None,
        steps: int | None,
        is_fresh: bool,
    ) -> dict[str, float]:
        """Scores a set.

        Args:
            name: its name, for messages.
            data: the set.
            batch_size: rows per batch of arrays.
            steps: batches that are read; None for all.
            is_fresh: whether it may have another size at each call.

        Returns:
            The scores by name.
        """
        # TensorFlow compiles once for all sizes.
        in_pieces = is_fresh and keras.backend.backend() == "jax"

        found = {}
        if self._is_compiled or self._metrics:
            found = self._evaluated(
                name,
                lambda: sets.of_evaluate(data, batch_size, steps, in_pieces),
            )
        if self._functions:
            found |= self._of_functions(data, batch_size, steps)
        return found

    def _evaluated(
        self, name: str, arguments: Callable[[], dict[str, Any]]
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        if self._is_compiled:
            found |= _floats(name, self._model, arguments())
        if self._others is not None:
            others = _floats(name, self._others, arguments())
            for score, metric in self._metrics.items():
                found[score] = others[
                    metric if isinstance(metric, str) else score
                ]
        return found

    def _of_functions(
        self, data: Any, batch_size: int | None, steps: int | None
    ) -> dict[str, float]:
        parts = [
            (predict(self._model, x, batch_size), y)
            for x, y in sets.batches(
                data, None if sets.are_arrays(data) else batch_size, steps
            )
        ]
        outputs, targets = parts[0]
        if len(parts) > 1:
            outputs, targets = (
                keras.tree.map_structure(
                    lambda *arrays: np.concatenate(arrays), *column
                )
                for column in zip(*parts, strict=True)
            )
        return {
            name: float(function(outputs, targets))
            for name, function in self._functions.items()
        }

    def _lacks_accuracy(self, found: Mapping[str, float]) -> bool:
        """Tells whether Keras would know an accuracy that was not asked for."""
        return set(found) == {"loss"} and "crossentropy" in _name_of(
            getattr(self._model, "loss", None)
        )

    def _with_metrics(self) -> "ScoredModel":
        # Keras itself knows best what "accuracy" is; a name is there once.
        names = (m for m in self._metrics.values() if isinstance(m, str))
        metrics: list[Any] = list(dict.fromkeys(names))
        for name, metric in self._metrics.items():
            if isinstance(metric, keras.metrics.Metric):
                metric = _copied(metric)
                metric.name = name
                metrics.append(metric)
        if num_replicas(self._model) > 1:
            with self._model.distribute_strategy.scope():
                return ScoredModel.of(self._model, metrics)
        return ScoredModel.of(self._model, metrics)


class ScoredModel(keras.Model):
    """A model of one output, evaluated with other metrics than its own.

    Weights are shared, nothing is trained.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.inner = model

    @classmethod
    def of(cls, model: Any, metrics: list[Any]) -> "ScoredModel":
        scored = cls(model)
        scored.compile(
            "sgd",  # the one without state
            weighted_metrics=metrics,
            run_eagerly=getattr(model, "run_eagerly", False),
        )
        return scored

    def call(self, inputs, training=None):
        return self.inner(inputs, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if len(keras.tree.flatten(y_pred)) > 1:
            raise ValueError(
                "`scores` by name are for models of one output; give the "
                "metrics of several outputs to `compile`"
            )
        return keras.ops.zeros(())


def _floats(
    name: str, model: Any, arguments: dict[str, Any]
) -> dict[str, float]:
    found = model.evaluate(**arguments, verbose=0, return_dict=True)
    for score, value in found.items():
        if np.size(value) != 1:
            raise ValueError(
                "A score is one number. Received: "
                f"{score!r} of set {name!r}, of shape {np.shape(value)}"
            )
    return {score: _widened(value) for score, value in found.items()}


def _widened(value: Any) -> float:
    """Returns a float32 as the shortest decimal number that means it.

    0.725, not 0.7250000238418579; both are the same float32.
    """
    return float(str(np.float32(np.ravel(value)[0])))


def _copied(metric: Any) -> Any:
    """Returns a metric of its own; the given one may belong to the training."""
    try:
        return type(metric).from_config(metric.get_config())
    except (NotImplementedError, TypeError, ValueError):
        return metric


def _name_of(loss: Any) -> str:
    name = (
        loss
        if isinstance(loss, str)
        else getattr(loss, "__name__", type(loss).__name__)
    )
    return name.replace("_", "").lower()


def _build(model: Any, x: Any) -> None:
    """Builds a model that `fit` would build in its first step."""
    if model.built or not sets.are_shaped(x):
        return
    model(
        keras.tree.map_structure(
            lambda a: keras.KerasTensor(a.shape, str(a.dtype)), x
        )
    )
