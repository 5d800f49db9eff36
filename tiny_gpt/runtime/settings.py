"""Settings of a process: the environment variables that backends read.

Only the choice of the backend replaces what the user has set.
"""

import os
from pathlib import Path

# JAX takes this share of a GPU's memory when it starts, 0.75 unless told. The
# network of section 3.2 needs 11.7 GB of a T4, which is all of that.
GPU_MEMORY = "0.92"


def set_up_process(backend: str, has_own_threads: bool) -> None:
    """Sets the variables of this process, before keras is imported.

    Args:
        backend: "jax" or "tensorflow".
        has_own_threads: whether its threads train. Otherwise each program
            has one thread, so that results have the same bits on any number
            of cores.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    reserve_gpu_memory()
    if not has_own_threads:
        os.environ.setdefault("NPROC", "1")
    _keep_compiled_programs()


def reserve_gpu_memory() -> None:
    """Sets how much of a GPU's memory JAX takes, before its first use."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", GPU_MEMORY)


def _keep_compiled_programs() -> None:
    """Lets JAX keep compiled programs, so that the next process starts fast."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = str(cache / "tiny_gpt" / "jax")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
    name = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
    os.environ.setdefault(name, "0.1")
