"""Programs that must fail the checks of `compiled.py`, and do."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding

from benchmarks.accelerators.described import CHIPS, devices_of
from benchmarks.accelerators.programs import Case, Programs
from experiments import triangle
from tiny_gpt.runtime.backend import building_for
from tiny_gpt.runtime.environment import set_precision
from tiny_gpt.runtime.programs import memory_needed

EXACT = "operand_precision={highest,highest}"
QUICKLY, WHOLLY = "O0", "O2"  # compiled with little effort, and with much


def must_fail(kind: str, chip: str) -> dict[str, bool]:
    """Tells of programs that must fail whether they were found."""
    at = SingleDeviceSharding(devices_of(chip)[0])

    def shape(n: int, dtype: str = "float32") -> Any:
        return jax.ShapeDtypeStruct((n, n), dtype, sharding=at)

    def is_refused(function: Any, *args: Any) -> bool:
        try:
            compiled = jax.jit(function).lower(*args).compile()
        except (jax.errors.JaxRuntimeError, NotImplementedError):
            return True
        return memory_needed(compiled) > CHIPS[chip].usable

    def grows(x: Any) -> Any:
        return (x[:, None, :] * x[None]).cumsum(0).cumsum(1)

    found = {"a program that is too large": is_refused(grows, shape(8192))}
    if kind == "tpu":
        found["a function that a TPU lacks"] = is_refused(
            lambda x: jnp.linalg.eig(x)[0], shape(64)
        )
        found |= roundings(chip)
    return found


def roundings(chip: str) -> dict[str, bool]:
    """Tells whether each precision is what a TPU's compiler makes of it."""
    texts = {}
    for effort in (WHOLLY, QUICKLY):  # the last one stays
        for precision in ("default", "float32"):
            set_precision(precision)
            jax.config.update("jax_optimization_level", effort)
            case = _forward(chip)
            lowered = case.program.lowered(*case.args)
            texts[effort, precision] = lowered.compile().as_text()
    return {
        "products that are not exact": EXACT not in texts[QUICKLY, "default"],
        "bfloat16 by default": "bf16[" in texts[WHOLLY, "default"],
        "no bfloat16 in float32": "bf16[" not in texts[WHOLLY, "float32"],
    }


def _forward(chip: str) -> Case:
    at = SingleDeviceSharding(devices_of(chip)[0])
    with building_for("tpu"):
        experiment = triangle.STUDY.build("quick", "sparse_a_to_c")
        return Programs(experiment, at).case("forward")
