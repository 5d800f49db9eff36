"""TPUs and GPUs that are described to the compilers, and not there.

Rates and bandwidths are the makers' figures (`runtime.rates`). The memory of a
GPU is about what such a device leaves to programs, a little less than the GB in
its name; JAX takes a share of it (`runtime.settings`).
"""

import os
from dataclasses import dataclass, field
from typing import Any

from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.rates import RATES
from tiny_gpt.runtime.settings import GPU_MEMORY

# Before JAX is imported.
TPU_SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    # Or a second process fails on the first one's lock.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    # A tenth of the time. More effort may need another amount of memory.
    "JAX_OPTIMIZATION_LEVEL": "O0",
}
GPU_SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    # Autotuning runs kernels, for which a GPU would have to be there.
    "XLA_FLAGS": "--xla_gpu_autotune_level=0 "
    "--xla_gpu_enable_triton_gemm=false",
}


@dataclass(frozen=True)
class Chip:
    """A device that programs are compiled for.

    Attributes:
        kind: "tpu" or "gpu".
        topology: what JAX's compiler is told.
        memory: bytes of one device.
        rate: operations a second of one device, in float32.
        options: of the topology.
        description: of a GPU, for XLA.
    """

    kind: str
    topology: str
    memory: float
    rate: float
    options: dict[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def usable(self) -> float:
        """Bytes of one device that JAX may use."""
        share = float(GPU_MEMORY) if self.kind == "gpu" else 1.0
        return share * self.memory


ALONE = {"chips_per_host_bounds": (1, 1, 1)}
V5E, V6E = RATES["TPU v5 lite"], RATES["TPU v6 lite"]
V2 = RATES["TPU v2"]


def _gpu(capability, processors, lanes, threads, shared, one, rest) -> str:
    """Describes a GPU in the words of XLA's `GpuTargetConfigProto`."""
    major, minor = capability
    bandwidth, cache, clock, memory, name = rest
    return f"""gpu_device_info {{
      threads_per_block_limit: 1024 threads_per_warp: 32
      shared_memory_per_block: 49152 shared_memory_per_core: {shared}
      shared_memory_per_block_optin: {one} threads_per_core_limit: {threads}
      core_count: {processors} fpus_per_core: {lanes}
      block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
      block_dim_limit_z: 65535 memory_bandwidth: {int(bandwidth)}
      l2_cache_size: {cache} clock_rate_ghz: {clock}
      device_memory_size: {int(memory)}
      cuda_compute_capability {{ major: {major} minor: {minor} }}
      registers_per_core_limit: 65536 registers_per_block_limit: 65536
    }}
    platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 8 }}
    runtime_version {{ major: 12 minor: 9 patch: 0 }}
    device_description_str: "{name}" """


T4 = _gpu(
    *((7, 5), 40, 64, 1024, 65536, 65536),
    (320e9, 4 << 20, 1.59, 15.6e9, "Tesla T4"),
)
L4 = _gpu(
    *((8, 9), 58, 128, 1536, 102400, 101376),
    (300e9, 48 << 20, 2.04, 23.6e9, "NVIDIA L4"),
)
A100 = _gpu(
    *((8, 0), 108, 64, 2048, 167936, 166912),
    (1555e9, 40 << 20, 1.41, 42.3e9, "NVIDIA A100-SXM4-40GB"),
)
H100 = _gpu(
    *((9, 0), 132, 128, 2048, 233472, 232448),
    (3352e9, 50 << 20, 1.98, 85e9, "NVIDIA H100 80GB HBM3"),
)

CHIPS = {
    "v5e-1": Chip("tpu", "v5e:1x1", 16e9, V5E, ALONE),
    "v5e-4": Chip("tpu", "v5e:2x2", 16e9, V5E),
    "v2-8": Chip("tpu", "v2:2x2", 8e9, V2),
    "v6e-1": Chip("tpu", "v6e:1x1", 32e9, V6E, ALONE),
    "T4": Chip("gpu", "1x1x1", 15.6e9, RATES["Tesla T4"], description=T4),
    "two T4": Chip("gpu", "1x1x2", 15.6e9, RATES["Tesla T4"], description=T4),
    "L4": Chip("gpu", "1x1x1", 23.6e9, RATES["NVIDIA L4"], description=L4),
    "A100": Chip(
        "gpu", "1x1x1", 42.3e9, RATES["NVIDIA A100"], description=A100
    ),
    "H100": Chip("gpu", "1x1x1", 85e9, RATES["NVIDIA H100"], description=H100),
}
_kept: dict[str, Any] = {}  # some versions crash once a topology is freed


def set_up(kind: str) -> None:
    """Sets what the compilers of a kind read when JAX is imported."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.update(TPU_SETTINGS if kind == "tpu" else GPU_SETTINGS)
    if kind == "gpu":
        import nvidia.cuda_nvcc

        (folder,) = nvidia.cuda_nvcc.__path__
        os.environ["PATH"] += f":{folder}/bin"  # of ptxas


def devices_of(name: str) -> list[Any]:
    """Returns the devices of a chip, for shardings.

    Args:
        name: one of `CHIPS`.
    """
    check_choice("chip", name, tuple(CHIPS))
    from jax.experimental import topologies

    if name not in _kept:
        chip = CHIPS[name]
        if chip.kind == "tpu":
            _kept[name] = topologies.get_topology_desc(
                platform="tpu", topology_name=chip.topology, **chip.options
            )
        else:
            _kept[name] = topologies.get_topology_desc(
                name,
                "cuda",
                topology=chip.topology,
                target_config=chip.description,
            )
    return list(_kept[name].devices)
