"""How fast devices multiply, as their makers state it."""

# Operations a second in true float32. A TPU multiplies bfloat16, and takes
# six passes for float32; a GPU's rate is that without TF32.
_PASSES = 6
RATES = {
    "TPU v2": 46e12 / 2 / _PASSES,  # a core is half a chip
    "TPU v3": 123e12 / 2 / _PASSES,
    "TPU v4": 275e12 / _PASSES,
    "TPU v5 lite": 197e12 / _PASSES,
    "TPU v6 lite": 918e12 / _PASSES,
    "Tesla T4": 8.1e12,
    "NVIDIA L4": 30.3e12,
    "NVIDIA A100": 19.5e12,
    "NVIDIA H100": 66.9e12,
}


def rate_of(kind: str) -> float | None:
    """Returns the rate of a device, or None if it is not known.

    Args:
        kind: as a backend names it, e.g. "NVIDIA A100-SXM4-40GB". Its first
            words are compared: an L40 is no L4.
    """
    words = kind.replace("-", " ") + " "
    found = (
        rate for name, rate in RATES.items() if words.startswith(f"{name} ")
    )
    return next(found, None)
