"""Where a run happens: backend, device and precision."""

import importlib.metadata
import os
import platform

import keras

PRECISIONS = ("float32", "default")
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
    """Sets how float32 matrix products are computed, for this process.

    "float32" is true float32 everywhere. "default" leaves the choice to the
    backend, which uses TF32 on recent GPUs and bfloat16 passes on TPUs; on a
    CPU the two are the same.

    Raises:
        ValueError: if `precision` is neither.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {PRECISIONS}. "
            f"Received: precision={precision!r}"
        )
    is_exact = precision == "float32"
    if keras.backend.backend() == "jax":
        import jax

        matmul = "highest" if is_exact else None
        jax.config.update("jax_default_matmul_precision", matmul)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(not is_exact)


def count_cores() -> int:
    """Returns the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_deterministic() -> None:
    """Makes this process give the same bits whenever it does the same.

    TensorFlow's operations are made deterministic; JAX's are on a CPU, which
    is where this was tested. The number of cores must stay the same.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def describe() -> dict[str, object]:
    """Describes backend, device and versions, for a manifest."""
    return {
        "backend": keras.backend.backend(),
        "devices": _devices(),
        "processor": platform.machine(),
        "cores": count_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def _devices() -> list[str]:
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
