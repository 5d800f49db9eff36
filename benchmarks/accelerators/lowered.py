"""What must not be in a program that is lowered for an accelerator."""

import re

WIDE = re.compile(r"tensor<(?:\d+x)*(?:[fiu]i?64|complex<f64>)>")
UNKNOWN = re.compile(
    r"tensor<[^>]*\?|stablehlo\.dynamic_(?!slice|update_slice)"
)
CALL = re.compile(r"custom_call @(\w+)")
PRODUCT = re.compile(r"stablehlo\.(?:dot_general|convolution|dot)\b.*")
EXACT = re.compile(r"precision = \[HIGHEST, HIGHEST\]")


def faults_of(text: str, is_exact: bool = True) -> list[str]:
    """Returns what is wrong with a program, in words.

    Args:
        text: StableHLO, as from `JaxProgram.exported(...).mlir_module()`.
        is_exact: whether its products must be true float32.
    """
    faults = []
    if UNKNOWN.search(text):
        faults.append("a shape depends on values")
    if found := WIDE.search(text):
        faults.append(f"numbers of 64 bits: {found[0]}")
    if calls := sorted(set(CALL.findall(text))):
        faults.append(f"calls of what XLA does not compile: {calls}")
    products = PRODUCT.findall(text)
    rough = [p for p in products if not EXACT.search(p)]
    if is_exact and rough:
        faults.append(f"{len(rough)} of {len(products)} products are not exact")
    if not products:
        faults.append("there is no product")
    return faults
