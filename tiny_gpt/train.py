"""One run of an experiment through `fit`."""

from collections.abc import Iterable
from pathlib import Path

import keras
import pandas as pd

from tiny_gpt.evaluation.evaluate import Asker
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.models.gpt import build_gpt
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.files import DamagedFileError, hash_arrays
from tiny_gpt.training.replicas import (
    LOSS_METRIC,
    AskedOfACopy,
    ClipAfterSum,
    FilledWindows,
    MeanOverReplicas,
    copy_weights,
    fitting,
)
from tiny_gpt.training.run_files import Record, state_of
from tiny_gpt.training.run_setup import Preparation, Run, frames_of, prepare


def compile_gpt(
    model: keras.Model, config: TrainConfig, placement: Placement | None = None
) -> None:
    """Compiles a model for next-token prediction, with XLA on both backends.

    The loss is the mean cross-entropy over all tokens, nats per token; where
    windows have weights, the mean of those that weigh.

    Args:
        model: model of `build_gpt`.
        config: the optimisation.
        placement: devices, if `fit` has several: the model was built in its
            scope, and this is called there.
    """
    if placement is not None and placement.is_replicated:
        _compile_replicas(model, config, placement)
        return
    model.compile(
        optimizer=keras.optimizers.Adam(
            config.learning_rate,
            clipnorm=config.clipnorm,
            weight_decay=config.weight_decay or None,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        jit_compile=True,
    )
    model.optimizer.build(model.trainable_variables)


def _compile_replicas(
    model: keras.Model, config: TrainConfig, placement: Placement
) -> None:
    rate, clipnorm = config.learning_rate, config.clipnorm
    decay = config.weight_decay or None
    is_tensorflow = placement.strategy is not None
    clips_sum = is_tensorflow and config.clipping == "global"
    if clips_sum and clipnorm is not None:
        optimizer: keras.Optimizer = ClipAfterSum(
            rate, clipnorm, weight_decay=decay
        )
    else:
        optimizer = keras.optimizers.Adam(
            rate, clipnorm=clipnorm, weight_decay=decay
        )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(
        optimizer=optimizer,
        loss=MeanOverReplicas() if is_tensorflow else loss,
        weighted_metrics=[
            keras.metrics.SparseCategoricalCrossentropy(
                LOSS_METRIC, from_logits=True
            )
        ],
        # XLA cannot compile what crosses replicas; a TPU always compiles.
        jit_compile=not is_tensorflow,
    )
    model.optimizer.build(model.trainable_variables)


def check_clipping(config: TrainConfig, placement: Placement | None) -> None:
    """Checks that gradients can be clipped as asked for.

    Raises:
        ValueError: if they are to be clipped per replica, and there are no
            replicas that are clipped one by one.
    """
    if config.clipping == "global":
        return
    num_devices = 1 if placement is None else placement.num_devices
    if num_devices > 1 and keras.backend.backend() == "tensorflow":
        return
    raise ValueError(
        "Gradients are clipped per replica on several devices of TensorFlow "
        "only; with one there is nothing to tell apart, and JAX sums before "
        "it clips. Choose clipping='global', or `--backend tensorflow` and "
        f"more devices. Received: clipping={config.clipping!r} on "
        f"{keras.backend.backend()}, num_devices={num_devices}"
    )


class _Saving(keras.callbacks.Callback):
    """Adds each epoch to a record."""

    def __init__(self, record: Record):
        super().__init__()
        self._record = record

    def on_epoch_end(self, epoch, logs=None):
        self._record.add(logs or {}, lambda: state_of(self.model))


def run(
    experiment: Experiment,
    seed: int,
    record: Path | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    save_every_s: float = 30.0,
    keeps_weights: bool = False,
    placement: Placement | None = None,
) -> Run:
    """Runs one condition with one seed, through `gpt.fit`.

    The seed fixes languages, sentences, initial weights, order of the
    windows and prompts, all drawn in NumPy and so the same on each backend.
    `many_seeds.run_seeds` does the same for many seeds, faster, on JAX.

    Args:
        experiment: what to run.
        seed: a non-negative integer.
        record: path of the files that hold progress (`Record`), without
            suffix. If they exist, the run continues from there. None for no
            files.
        callbacks: further callbacks; they see accuracies in `logs`.
        save_every_s: least seconds between two savings of progress.
        keeps_weights: whether the weights of some epochs, ever fewer, and of
            all around an event are kept in the folder "{record}_weights"
            (`CheckpointAtEvents`).
        placement: devices (`choose_devices`); None for the backend's first.
            Several divide each batch among them (`replicas.py`).

    Returns:
        The model with its metrics and events.

    Raises:
        ValueError: if `seed` is negative, or `record` holds another
            experiment or a finished run, or is damaged, or the devices
            cannot clip as asked for.
    """
    check_clipping(experiment.train, placement)
    ready = prepare(experiment, seed, record, save_every_s, keeps_weights)
    if placement is not None and placement.is_replicated:
        return _run_replicas(ready, list(callbacks), placement)
    model = build_gpt(experiment.model)
    compile_gpt(model, experiment.train)
    ready.start(model)
    asker = Asker(experiment.evaluation, model, ready.stream)
    questions = ready.callbacks(asker)
    if not ready.record.is_trained:
        model.fit(
            ready.windows,
            epochs=experiment.train.num_epochs,
            initial_epoch=len(ready.record.logs),
            steps_per_epoch=ready.windows.steps_per_epoch,
            shuffle=False,  # the order is in the windows
            callbacks=[*questions, _Saving(ready.record), *callbacks],
            verbose=0,
        )
    return ready.finish(model, asker, model)


def _run_replicas(
    ready: Preparation,
    callbacks: list[keras.callbacks.Callback],
    placement: Placement,
) -> Run:
    """Does the same on several devices, and returns a model on one."""
    experiment = ready.experiment
    with placement.scope():
        model = build_gpt(experiment.model)
        compile_gpt(model, experiment.train, placement)
        ready.start(model)
    copy = build_gpt(experiment.model)
    asker = Asker(experiment.evaluation, copy, ready.stream)
    questions = ready.callbacks(asker)
    filled = FilledWindows(
        ready.windows, experiment.train.batch_size, placement.num_devices
    )
    if not ready.record.is_trained:
        with fitting(placement):
            model.fit(
                filled
                if placement.strategy is None
                else filled.as_tensorflow(),
                epochs=experiment.train.num_epochs,
                initial_epoch=len(ready.record.logs),
                steps_per_epoch=ready.windows.steps_per_epoch,
                shuffle=False,  # the order is in the windows
                callbacks=[
                    AskedOfACopy(questions, copy),
                    _Saving(ready.record),
                    *callbacks,
                ],
                verbose=0,
            )
    copy_weights(model, copy)
    return ready.finish(copy, asker, copy)


def load_finished(
    experiment: Experiment, seed: int, record: Path
) -> tuple[pd.DataFrame, pd.DataFrame, float] | None:
    """Reads the record of a finished run.

    Returns:
        Its metrics, events and wall seconds; None if it is not finished.

    Raises:
        ValueError: if the record is of another experiment.
    """
    progress = Record(experiment, seed, record)
    if not progress.is_finished:
        return None
    return frames_of(experiment, seed, progress)


def load_model(experiment: Experiment, seed: int, record: Path) -> keras.Model:
    """Builds the trained model of a finished run.

    Args:
        experiment: what was run.
        seed: its seed.
        record: path of its files, without suffix.

    Raises:
        ValueError: if the record is of another experiment or not finished,
            or the weights are not those that the run ended with.
    """
    progress = Record(experiment, seed, record)
    if not progress.is_finished:
        raise ValueError(
            f"The run must be finished. Received: record={record}, after "
            f"{len(progress.logs)} of {experiment.train.num_epochs} epochs"
        )
    model = build_gpt(experiment.model)
    weights = Path(f"{record}.weights.h5")
    try:
        model.load_weights(weights)
        found = hash_arrays(model.get_weights())
    except (OSError, ValueError, KeyError) as error:
        raise DamagedFileError(
            f"The weights of a run must be whole. Received: {weights} ({error})"
        ) from error
    if found != progress.weights_hash:
        raise DamagedFileError(
            "The weights of a run must be those it ended with, of SHA-256 "
            f"{progress.weights_hash}. Received: {weights}, of {found}"
        )
    return model
