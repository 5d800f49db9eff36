"""Products rounded as a GPU or a TPU rounds them by default, on a CPU.

Under `--precision default` a recent GPU rounds the factors of a float32
product to TF32, and a TPU to bfloat16; sums stay in float32. Here the factors
of every product of a program are rounded in this way: forward, gradient and
decoding. All else is as on the CPU, e.g. the order of sums and exp.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

# Bits of the significand after the point. All have float32's exponents.
MANTISSA_BITS = {"tf32": 10, "bfloat16": 7}
EXPONENT_BITS = 8


def rounding_to(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Returns what rounds the products of a function, for `building_for`.

    Args:
        name: "tf32" or "bfloat16".

    Returns:
        From a function of arrays to the same function, with the factors of
        each product of float32 arrays rounded to the nearest, ties to even.
    """
    bits = MANTISSA_BITS[name]

    def rewrite(function: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(*args: Any) -> Any:
            program, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
            run = core.jaxpr_as_fun(_rounded(program, bits))
            results = run(*jax.tree.leaves(args))
            return jax.tree.unflatten(jax.tree.structure(shapes), results)

        return rounded

    return rewrite


def _rounded(program: Any, bits: int) -> Any:
    """Rounds in a program, and in the programs that it calls.

    Args:
        program: `ClosedJaxpr` or `Jaxpr`.
        bits: of the significand.
    """
    if isinstance(program, core.ClosedJaxpr):
        return program.replace(jaxpr=_rounded(program.jaxpr, bits))
    new_variable = core.gensym()
    steps = []
    for step in program.eqns:
        step = step.replace(
            params={k: _rounded_inside(v, bits) for k, v in step.params.items()}
        )
        if step.primitive is core.primitives.dot_general_p:
            factors = []
            for factor in step.invars:
                if factor.aval.dtype == "float32":
                    to = new_variable(factor.aval)
                    steps.append(_rounding(factor, to, bits, step))
                    factor = to
                factors.append(factor)
            step = step.replace(invars=factors)
        steps.append(step)
    return program.replace(eqns=steps)


def _rounded_inside(value: Any, bits: int) -> Any:
    """Rounds in a parameter of a step, if it is a program."""
    if isinstance(value, (core.ClosedJaxpr, core.Jaxpr)):
        return _rounded(value, bits)
    if type(value) is tuple:  # not a named one
        return tuple(_rounded_inside(v, bits) for v in value)
    return value


def _rounding(factor: Any, to: Any, bits: int, beside: Any) -> Any:
    """Returns the step that rounds a variable into another one."""
    return beside.replace(
        primitive=core.primitives.reduce_precision_p,
        invars=[factor],
        outvars=[to],
        params={"exponent_bits": EXPONENT_BITS, "mantissa_bits": bits},
    )
