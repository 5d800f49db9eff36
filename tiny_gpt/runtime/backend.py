"""Platforms: which form a program has where.

Platforms want different forms of one program. `form` is the only place that
tells them apart, so that the program of a TPU can be built, and looked at, on
a machine that has none (`building_for`).
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras

from tiny_gpt.runtime.checks import check_choice

# XLA leaves half of a vector register idle unless it is told otherwise.
CPU_OPTIONS = {"xla_cpu_prefer_vector_width": 512}


PLATFORMS = ("cpu", "gpu", "tpu")


@dataclass(frozen=True)
class Form:
    """The form of programs on a platform.

    Attributes:
        platform: "cpu", "gpu" or "tpu", or what JAX calls another one.
        has_fast_layers: whether layers are computed as in `fast_cpu.py`.
        has_thread_per_run: whether each run has a thread; else many runs are
            one batch of a program.
        compiler_options: of XLA, for `lowered.compile` of JAX.
    """

    platform: str
    has_fast_layers: bool
    has_thread_per_run: bool
    compiler_options: Mapping[str, Any]

    @property
    def has_xla(self) -> bool:
        """Whether XLA compiles what is called beside `fit`.

        On TensorFlow the first call compiles something, after which devices
        can no longer be chosen.
        """
        return not _lacks_xla()


@dataclass(frozen=True)
class Target:
    """What programs are built for, other than the devices that are there.

    Attributes:
        platform: see `building_for`.
        rewrite: see `building_for`.
    """

    platform: str | None = None
    rewrite: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None


_here = Target()
_target: ContextVar[Target] = ContextVar("_target", default=_here)


def form(platform: str | None = None) -> Form:
    """Returns the form that programs have on a platform.

    Args:
        platform: of the devices; None for that of the default device. In
            `building_for` it is the one named there.
    """
    platform = _target.get().platform or platform or _default_platform()
    is_jax_on_cpu = keras.backend.backend() == "jax" and platform == "cpu"
    return Form(
        platform,
        # It walks through groups of sentences, which would cross devices.
        has_fast_layers=is_jax_on_cpu and not _is_dividing.get(),
        has_thread_per_run=is_jax_on_cpu,
        compiler_options=CPU_OPTIONS if is_jax_on_cpu else {},
    )


@contextmanager
def building_for(
    platform: str | None,
    rewrite: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
) -> Iterator[None]:
    """Context in which programs are built as for a platform.

    It chooses the form, not the devices: the programs can be lowered for the
    platform, or run here, in its form. They keep it outside the context.

    Args:
        platform: "cpu", "gpu" or "tpu"; None for the one that is there.
        rewrite: from a function to the one that JAX compiles in its place,
            e.g. with rounded products; None for the function itself.

    Raises:
        ValueError: if it is another word.
    """
    if platform is not None:
        check_choice("platform", platform, PLATFORMS)
    token = _target.set(Target(platform, rewrite))
    try:
        yield
    finally:
        _target.reset(token)


def target() -> Target:
    """Returns what programs are built for, as said by `building_for`."""
    return _target.get()


def _default_platform() -> str:
    name = keras.backend.backend()
    if name == "jax":
        return default_device().platform
    if name == "tensorflow":
        import tensorflow as tf

        kinds = ("TPU", "GPU")
        found = (k for k in kinds if tf.config.list_physical_devices(k))
        return next(found, "CPU").lower()
    return "cpu"


@functools.cache
def _lacks_xla() -> bool:
    """Tells whether TensorFlow cannot compile for its host with XLA.

    The wheel for TPUs cannot: it compiles for the TPU alone.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    @tf.function(jit_compile=True, autograph=False)
    def double(x):
        return x + x

    try:
        with tf.device("CPU:0"):
            double(tf.constant(1.0))
    except tf.errors.OpError:  # no compiler for the host is registered
        return True
    return False


_is_dividing = ContextVar("_is_dividing", default=False)


@contextmanager
def dividing() -> Iterator[None]:
    """Context in which a program is traced if devices divide its batch."""
    token = _is_dividing.set(True)
    try:
        yield
    finally:
        _is_dividing.reset(token)


def default_device() -> Any:
    """Returns the device that JAX computes on in this thread."""
    import jax

    # Set by `devices.choose_devices` or, in threads, by `many_seeds`.
    device = getattr(jax.config, "jax_default_device", None)
    if device is None:
        return jax.local_devices()[0]
    return jax.devices(device)[0] if isinstance(device, str) else device
