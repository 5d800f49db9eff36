"""Devices of a run, chosen and checked before anything starts."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from tiny_gpt.runtime.checks import check_choice, has_package
from tiny_gpt.runtime.settings import reserve_gpu_memory

KINDS = ("auto", "cpu", "gpu", "tpu")
TPU_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")  # as Google Cloud allows it


@dataclass(frozen=True)
class Placement:
    """The devices of a run.

    Attributes:
        kind: "cpu", "gpu" or "tpu", or the backend's name for another kind.
        devices: JAX's devices, or the names of TensorFlow's.
        strategy: TensorFlow's, for several devices or a TPU; else None.
        asked: arguments of `choose_devices`, for a manifest.
    """

    kind: str
    devices: tuple[Any, ...]
    strategy: Any = None
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def num_devices(self) -> int:
        """Number of devices, those of all hosts together."""
        return len(self.devices)

    @property
    def is_replicated(self) -> bool:
        """Whether `fit` divides each batch, and variables are copied."""
        return self.num_devices > 1 or self.strategy is not None

    @property
    def names(self) -> list[str]:
        """Names of the devices, e.g. "gpu:0", for a manifest."""
        if keras.backend.backend() != "jax":
            return list(self.devices)
        return [f"{d.platform}:{d.id}" for d in self.devices]

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Context for models whose variables are copied to each device.

        Models are built and compiled in it. It is TensorFlow's strategy, or
        Keras's data parallelism on JAX.
        """
        if self.strategy is not None:
            with self.strategy.scope():
                yield
        elif self.is_replicated and keras.backend.backend() == "jax":
            names = self.names
            with keras.distribution.DataParallel(devices=names).scope():
                yield
        else:
            yield


def choose_devices(
    kind: str = "auto", num_devices: int | None = None, tpu: str | None = None
) -> Placement:
    """Chooses the devices of this process, before their first use.

    "auto" takes what the backend offers first: TPUs, then GPUs, then the CPU.
    A kind that is named is used or refused, never replaced by a CPU.

    Args:
        kind: "auto", "cpu", "gpu" or "tpu".
        num_devices: how many; None for all of that kind.
        tpu: TensorFlow only: "local" or the name of a TPU VM; None for the
            local one, if `kind` is "tpu".

    Returns:
        The devices.

    Raises:
        ValueError: if `kind` is unknown, `num_devices` below 1, there are no
            such devices or too few, or this backend cannot reach or use the
            TPU.
    """
    check_choice("devices", kind, KINDS)
    if num_devices is not None and num_devices < 1:
        raise ValueError(
            "`num_devices` must be at least 1. "
            f"Received: num_devices={num_devices}"
        )
    if tpu is not None and kind not in ("auto", "tpu"):
        raise ValueError(
            "`tpu` says which TPU is used, and needs devices='tpu'. "
            f"Received: tpu={tpu!r} with devices={kind!r}"
        )
    asked = {"devices": kind, "num_devices": num_devices, "tpu": tpu}
    backend = keras.backend.backend()
    if tpu is not None and backend != "tensorflow":
        raise ValueError(
            "`tpu` is an option of TensorFlow; JAX finds the TPUs of its host "
            f"by itself. Received: tpu={tpu!r} on {backend}"
        )
    if backend == "jax":
        return _choose_for_jax(kind, num_devices, asked)
    if backend == "tensorflow":
        return _choose_for_tensorflow(kind, num_devices, tpu, asked)
    if kind not in ("auto", "cpu") or (num_devices or 1) > 1:
        raise ValueError(
            "Devices are chosen on JAX and TensorFlow only. Received: "
            f"devices={kind!r}, num_devices={num_devices} on {backend}"
        )
    return Placement("cpu", (backend,), asked=asked)


def join_hosts() -> None:
    """Joins the processes of several hosts to one program, on JAX.

    Each process must call this before any other use of JAX. JAX finds the
    others by itself on Cloud TPUs, under SLURM, Open MPI and Kubernetes.

    Raises:
        ValueError: if the backend is not JAX, or the others are not found.
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "Several hosts need JAX. "
            f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
        )
    import jax

    # Without it, collectives between CPUs do not leave the process.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize()
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            "Several hosts need an environment in which JAX finds them: a TPU "
            "pod, SLURM, Open MPI or Kubernetes, and one process of this "
            "command on each. "
            f"Received: {_in_a_line(error)}"
        ) from error


def host_index() -> int:
    """Returns the number of this host among those joined, from 0."""
    if keras.backend.backend() != "jax":
        return 0
    import jax

    return jax.process_index()


def _take(found: Sequence[Any], kind: str, num_devices: int | None) -> tuple:
    """Returns the first devices, as many as wanted."""
    if num_devices is not None and num_devices > len(found):
        raise ValueError(
            f"`num_devices` cannot exceed the devices of kind {kind!r} that "
            f"{keras.backend.backend()} sees; ask for fewer, or for none to "
            f"use all. Received: num_devices={num_devices}, of which there "
            f"are {len(found)}"
        )
    return tuple(found[:num_devices])


def _no_such_device(kind: str, reason: str, remedy: str) -> ValueError:
    return ValueError(
        f"There must be a device of the kind that was asked for; {remedy}. "
        f"Received: devices={kind!r} on {keras.backend.backend()}, {reason}"
    )


def _choose_for_jax(kind, num_devices, asked) -> Placement:
    import jax

    reserve_gpu_memory()
    if kind == "auto":
        found = jax.devices()
    else:
        try:
            found = jax.devices(kind)
        except RuntimeError as error:
            extra = {"gpu": "gpu", "tpu": "tpu"}.get(kind, "jax")
            raise _no_such_device(
                kind,
                f"which says: {_in_a_line(error)}",
                f"install JAX for it (pip install 'tiny_gpt[{extra}]') on a "
                "machine that has one, or use --devices auto",
            ) from error
    devices = _take(found, kind, num_devices)
    if jax.process_count() > 1 and len(devices) != len(found):
        raise ValueError(
            "Several hosts use all their devices. "
            f"Received: num_devices={num_devices} of {len(found)}"
        )
    if devices[0] != jax.devices()[0]:
        jax.config.update("jax_default_device", devices[0])
    return Placement(devices[0].platform, devices, asked=asked)


def _choose_for_tensorflow(kind, num_devices, tpu, asked) -> Placement:
    import tensorflow as tf

    if kind == "tpu" or tpu is not None:
        return _choose_tpu(num_devices, tpu or "local", asked)
    if kind == "auto":
        physical = tf.config.list_physical_devices
        kind = next((k for k in ("TPU", "GPU") if physical(k)), "CPU").lower()
        if kind == "tpu":
            return _choose_tpu(num_devices, "local", asked)
    name = kind.upper()
    if not tf.config.list_physical_devices(name):
        raise _no_such_device(
            kind,
            "which sees none",
            "install tensorflow[and-cuda] in place of tensorflow-cpu, with "
            "NVIDIA's driver, on a machine that has one, or use "
            "--devices auto",
        )
    if kind == "cpu" and tf.config.list_physical_devices("GPU"):
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError as error:
            raise ValueError(
                "Devices are chosen before TensorFlow uses any. "
                f"Received: devices='cpu', but {_in_a_line(error)}"
            ) from error
    found = [d.name for d in tf.config.list_logical_devices(name)]
    # Several CPUs exist only if someone has divided one.
    devices = _take(found, kind, num_devices)
    strategy = None
    if len(devices) > 1:
        strategy = tf.distribute.MirroredStrategy(list(devices))
    return Placement(kind, devices, strategy, asked)


def _choose_tpu(num_devices, tpu: str, asked) -> Placement:
    import tensorflow as tf

    _check_tpu(tpu)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # of the network, of Google Cloud, of the TPU
        raise ValueError(
            "A TPU must be 'local', or the name of one that can be reached "
            f"and is free. Received: tpu={tpu!r}, which says: "
            f"{_in_a_line(error)}"
        ) from error
    devices = tuple(d.name for d in tf.config.list_logical_devices("TPU"))
    if num_devices not in (None, len(devices)):
        raise ValueError(
            "TPUStrategy uses all cores of a TPU; leave `num_devices` out. "
            f"Received: num_devices={num_devices} of {len(devices)}"
        )
    return Placement("tpu", devices, strategy, asked)


def _check_tpu(tpu: str) -> None:
    """Refuses a TPU that could only fail later."""
    import tensorflow as tf

    if tpu == "local":
        if not has_package("tensorflow-tpu") and not (
            tf.config.list_physical_devices("TPU")
        ):
            raise _no_such_device(
                "tpu",
                "which is installed without TPU support",
                "a local TPU needs tensorflow-tpu in place of TensorFlow "
                "(pip install 'tiny_gpt[tf-tpu]'), or --backend jax with "
                "'tiny_gpt[tpu]'",
            )
        return
    if not TPU_NAME.fullmatch(tpu):
        raise ValueError(
            "`tpu` must be 'local' or the name of a TPU VM. Addresses "
            "host:port were those of TPU nodes, which Google has ended. "
            f"Received: tpu={tpu!r}"
        )


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
