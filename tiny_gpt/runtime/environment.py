"""The environment of a run: cores, memory, precision; set and described."""

import functools
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from typing import Any

import keras

from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.devices import Placement, choose_devices

PRECISIONS = ("float32", "default", "mixed_bfloat16")
MIXED = "mixed_bfloat16"
PACKAGES = (
    "tiny_gpt",
    "keras",
    "jax",
    "jaxlib",
    "tensorflow",
    "numpy",
    "pandas",
)


def set_precision(precision: str) -> None:
    """Sets how numbers are stored and multiplied, for this process.

    "float32" is true float32 everywhere. "default" leaves matrix products of
    float32 numbers to the backend, which uses TF32 on recent GPUs and
    bfloat16 passes on TPUs; on a CPU the two are the same. "mixed_bfloat16"
    lets layers compute in bfloat16 (`keras.mixed_precision`); weights, logits
    and loss stay in true float32.

    Models that were built earlier keep their precision. Keras has a policy
    per thread: `many_seeds` passes it on to its threads.

    Raises:
        ValueError: if `precision` is another word.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == MIXED:
        keras.config.set_dtype_policy(MIXED)
    elif keras.config.dtype_policy().name == MIXED:
        keras.config.set_dtype_policy(keras.config.floatx())
    is_exact = precision != "default"
    if keras.backend.backend() == "jax":
        import jax

        matmul = "highest" if is_exact else None
        jax.config.update("jax_default_matmul_precision", matmul)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(not is_exact)


def current_precision() -> str:
    """Returns the precision that `set_precision` has set, else "default"."""
    if keras.config.dtype_policy().name == MIXED:
        return MIXED
    if keras.backend.backend() == "jax":
        import jax

        matmul = getattr(jax.config, "jax_default_matmul_precision", None)
        return "float32" if matmul == "highest" else "default"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        is_tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
        return "default" if is_tf32 else "float32"
    return "default"


def count_cores() -> int:
    """Returns the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_threads() -> str:
    """Returns the number of threads of a JAX program on this CPU, for `NPROC`.

    It is the value of `NPROC`, which JAX reads when it starts, or else the
    number of cores. The order of the sums in a large product depends on it, so
    workers need the same number as their driver. With `NPROC=1`, results do
    not depend on the cores of a machine.
    """
    return os.environ.get("NPROC") or str(count_cores())


def make_deterministic() -> None:
    """Makes this process reproducible to the bit.

    On a CPU the compiled steps of both backends are so by themselves, with the
    same number of cores (tests/benchmarks/test_faults.py). On a GPU
    TensorFlow's operations are made deterministic, for which Keras gives up
    XLA. For JAX on a GPU nothing is promised.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if form().platform == "gpu":
            tf.config.experimental.enable_op_determinism()


def set_up_worker(
    precision: str, asked: Mapping[str, Any] | None
) -> Placement | None:
    """Sets a worker process up like its parent.

    It may be called again, for another precision.

    Args:
        precision: see `set_precision`.
        asked: devices, as in `Placement.asked`; None for those that the
            backend offers first.

    Returns:
        The devices; None if `asked` is None.

    Raises:
        ValueError: if there are no such devices.
    """
    make_deterministic()
    placement = None
    if asked:
        names = ("devices", "num_devices", "tpu")
        placement = _choose_once(*(asked[name] for name in names))
    set_precision(precision)
    return placement


_choose_once = functools.cache(choose_devices)  # before their first use


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether an error means that the memory of a device is used up."""
    if isinstance(error, MemoryError):
        return True
    is_named = type(error).__name__ == "ResourceExhaustedError"  # TensorFlow
    return is_named or "RESOURCE_EXHAUSTED" in str(error)  # JAX


def describe_environment(
    placement: Placement | None = None,
) -> dict[str, Any]:
    """Describes backend, devices, memory, precision and versions.

    Args:
        placement: the devices; None if they were not chosen.

    Returns:
        JSON types, for a manifest.
    """
    used: dict[str, object] = {}
    if placement is not None:
        used = {
            "num_devices": placement.num_devices,
            "devices_used": placement.names,
            "devices_asked": placement.asked,
        }
    return {
        "backend": keras.backend.backend(),
        "devices": list_devices(),
        **used,
        "memory": _memory(),
        "precision": current_precision(),
        "processor": platform.machine(),
        "cores": count_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def list_devices() -> list[str]:
    """Returns kind and name of each device, e.g. "tpu: TPU v5 lite"."""
    if keras.backend.backend() == "jax":
        import jax

        return [f"{d.platform}: {d.device_kind}" for d in jax.devices()]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        physical = tf.config.list_physical_devices()
        details = tf.config.experimental.get_device_details
        names = (details(d).get("device_name", d.name) for d in physical)
        return [
            f"{d.device_type}: {n}"
            for d, n in zip(physical, names, strict=True)
        ]
    return [keras.backend.backend()]


def _memory() -> dict[str, int]:
    """Returns the host's bytes, and those of each device, if known.

    JAX tells them of GPUs and TPUs; TensorFlow does not.
    """
    memory: dict[str, int] = {}
    if keras.backend.backend() == "jax":
        import jax

        for device in jax.local_devices():
            limit = memory_of(device)
            if limit is not None:
                memory[f"{device.platform}:{device.id}"] = limit
    if hasattr(os, "sysconf"):  # not on Windows
        memory["host"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf(
            "SC_PHYS_PAGES"
        )
    return memory


def memory_of(device: Any) -> int | None:
    """Returns the bytes that JAX may use on a device; None if unknown."""
    return (device.memory_stats() or {}).get("bytes_limit")


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        for name in (package, f"{package}-cpu", f"{package}-tpu"):
            try:
                versions[package] = importlib.metadata.version(name)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return versions
