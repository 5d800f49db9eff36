"""The compiled model: its optimizer, loss and clipping."""

import keras

from tiny_gpt.evaluation.data import NOT_SCORED
from tiny_gpt.experiment import TrainConfig
from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.training.replicas import (
    LOSS_METRIC,
    ClipAfterSum,
    MeanOverReplicas,
    SGDClipAfterSum,
)

OPTIMIZERS = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
CLIPPING_SUMS = {"adam": ClipAfterSum, "sgd": SGDClipAfterSum}


def compile_gpt(
    model: keras.Model,
    config: TrainConfig,
    placement: Placement | None = None,
    has_unscored_targets: bool = False,
) -> None:
    """Compiles a model for next-token prediction, with XLA where there is one.

    The loss is the mean cross-entropy over all scored tokens, nats per token.
    If windows have weights, it is the weighted mean.

    Args:
        model: model of a `ModelConfig`.
        config: the optimisation.
        placement: devices, if `fit` has several. The model must have been
            built in its scope, and this function is called there.
        has_unscored_targets: whether targets can be `NOT_SCORED`, which the
            loss leaves out; otherwise all tokens are scored.
    """
    ignored = NOT_SCORED if has_unscored_targets else None
    if placement is not None and placement.is_replicated:
        _compile_replicas(model, config, placement, ignored)
        return
    model.compile(
        optimizer=_optimizer(config),
        loss=_cross_entropy(ignored),
        jit_compile=form().has_xla,
    )
    model.optimizer.build(model.trainable_variables)


def _cross_entropy(ignored: int | None) -> keras.Loss:
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True,
        ignore_class=ignored,
        reduction="mean_with_sample_weight",
    )


def _optimizer(config: TrainConfig, clips_sum: bool = False) -> keras.Optimizer:
    """Returns the optimizer; its only state with "sgd" is rate and count."""
    rate, decay = config.learning_rate, config.weight_decay or None
    if clips_sum and config.clipnorm is not None:
        kind = CLIPPING_SUMS[config.optimizer]
        return kind(rate, config.clipnorm, weight_decay=decay)
    return OPTIMIZERS[config.optimizer](
        rate, clipnorm=config.clipnorm, weight_decay=decay
    )


def _compile_replicas(
    model: keras.Model,
    config: TrainConfig,
    placement: Placement,
    ignored: int | None,
) -> None:
    is_tensorflow = placement.strategy is not None
    clips_sum = is_tensorflow and config.clipping == "global"
    loss = (
        MeanOverReplicas(ignore_class=ignored)
        if is_tensorflow
        else _cross_entropy(ignored)
    )
    model.compile(
        optimizer=_optimizer(config, clips_sum),
        loss=loss,
        weighted_metrics=[
            keras.metrics.SparseCategoricalCrossentropy(
                LOSS_METRIC, from_logits=True, ignore_class=ignored
            )
        ],
        # XLA cannot compile what crosses replicas; a TPU always compiles.
        jit_compile=not is_tensorflow,
    )
    model.optimizer.build(model.trainable_variables)


def check_clipping(config: TrainConfig, placement: Placement | None) -> None:
    """Checks that gradients can be clipped as the config says.

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
