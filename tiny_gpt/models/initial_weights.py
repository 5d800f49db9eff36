"""Initial weights, drawn in NumPy."""

import math
from collections.abc import Callable

import keras
import numpy as np


def initialise_weights(model: keras.Model, rng: np.random.Generator) -> None:
    """Draws initial weights in NumPy: one seed, one network, any backend.

    The distributions are Keras's defaults, as published: Glorot uniform for
    kernels, orthogonal for recurrent kernels, uniform in [-0.05, 0.05] for
    embeddings; layers of our own as their papers say (`DRAWN`). Biases and
    norms keep the constants that they are built with.
    From the same seed, Keras itself draws other numbers on each backend.

    Args:
        model: any model, changed in place.
        rng: source of randomness.

    Raises:
        ValueError: if a trainable variable has another name, so that the
            backend would draw its weights; the model is not changed.
    """
    unknown = [v.path for v in model.trainable_variables if v.name not in DRAWN]
    if unknown:
        raise ValueError(
            "Initial weights are drawn for variables named "
            f"{', '.join(DRAWN)}; others would be the backend's, and one seed "
            f"not one network. Received: {', '.join(unknown)}"
        )
    for variable in model.variables:
        draw = DRAWN.get(variable.name)
        if draw is not None:
            variable.assign(draw(variable.shape, rng))
        elif "seed_generator_state" in variable.path:
            state = rng.integers(0, 2**31, variable.shape)
            variable.assign(state.astype("uint32"))


def _glorot_uniform(
    shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draws as `keras.initializers.GlorotUniform`, for convolutions as well."""
    places = math.prod(shape[:-2])
    limit = np.sqrt(6.0 / (places * sum(shape[-2:])))
    return rng.uniform(-limit, limit, shape)


def _orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws as `keras.initializers.Orthogonal` (Saxe et al. 2014)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normal = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))
    return (q.T if rows < columns else q).reshape(shape)


def _uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-0.05, 0.05, shape)


def _depthwise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws a kernel, (width, channels), uniformly within 1 / sqrt(width).

    As PyTorch draws a depthwise `Conv1d`, which Mamba-2 uses; Glorot's fans
    would count other channels, which a depthwise kernel does not see.
    """
    limit = shape[0] ** -0.5
    return rng.uniform(-limit, limit, shape)


def _log_rate(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws A_log: the rate of decay is uniform in [1, 16].

    As in the code of Dao and Gu 2024 (mamba_ssm, modules/mamba2.py).
    """
    return np.log(rng.uniform(1.0, 16.0, shape))


def _step_bias(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws dt_bias: its softplus is log-uniform in [0.001, 0.1].

    The interval is that of Gu and Dao 2023, sec. 3.6; uniform logarithms are
    those of their code.
    """
    step = np.exp(rng.uniform(np.log(0.001), np.log(0.1), shape))
    return np.log(np.expm1(step))


def _near_zero(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws the lower half of a (T, T) kernel, within 0.001 / T.

    Liu et al. 2021, sec. 2.1, ask for values near zero, and give no size.
    """
    limit = 1e-3 / shape[0]
    return np.tril(rng.uniform(-limit, limit, shape))


# How each trainable variable is drawn, by name; None leaves a constant.
DRAWN: dict[str, Callable[..., np.ndarray] | None] = {
    "kernel": _glorot_uniform,
    "recurrent_kernel": _orthogonal,
    "token_table": _uniform,
    "position_table": _uniform,
    "embeddings": _uniform,
    "depthwise_kernel": _depthwise,
    "A_log": _log_rate,
    "dt_bias": _step_bias,
    "spatial_kernel": _near_zero,
    "bias": None,
    "gamma": None,
    "beta": None,
    "depthwise_bias": None,
    "spatial_bias": None,
    "scale": None,
    "skip": None,
}
