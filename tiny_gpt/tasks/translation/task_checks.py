"""Checks of the fields of a `Translation`, which explains them."""

from collections.abc import Sequence
from dataclasses import replace

from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.tasks.translation.languages import names_in
from tiny_gpt.tasks.translation.mixture import Mixture
from tiny_gpt.tasks.translation.windows import WINDOW_PACKINGS

SCORED = ("all", "answers", "last_answer")


def check_flag(name: str, value: object) -> None:
    """Raises a ValueError if a value is not a bool."""
    if not isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be True or False. Received: {name}={value!r}"
        )


def check_pivots(pivots: Sequence[str], labels: set[str]) -> None:
    """Checks pivots.

    Args:
        pivots: two steps each, e.g. "A->B->C".
        labels: mappings that are read or asked.

    Raises:
        ValueError: if one has not three languages, or is a mapping.
    """
    for pivot in pivots:
        names = names_in(pivot)
        if len(names) != 3 or len(set(names)) < 3:
            raise ValueError(
                "A pivot names three different languages, 'X->Y->Z'. "
                f"Received: {pivot!r}"
            )
        if pivot in labels:
            raise ValueError(
                "A pivot is two questions, and a chain is one; their rows "
                f"would have one name. Received: {pivot!r} as both"
            )


def check_alike(first: Mixture, mixture: Mixture) -> None:
    """Raises a ValueError if a pre-training has other languages or mappings.

    Args:
        first: mixture of the pre-training.
        mixture: what is read afterwards.
    """
    mappings = [[c.mapping for c in m.components] for m in (first, mixture)]
    alike = replace(first, components=mixture.components)
    if mappings[0] != mappings[1] or alike != mixture:
        raise ValueError(
            "A pre-training mixture has the languages and the mappings of "
            "the mixture, in the same order, so that both are drawn "
            f"alike. Received: {first} before {mixture}"
        )


def check_packing(
    window_packing: str,
    scored: str,
    rotates: bool,
    together: Sequence[str],
    chains: Sequence[str],
) -> None:
    """Checks how windows hold a text, and what of it is scored.

    Args:
        window_packing: one of `WINDOW_PACKINGS`.
        scored: one of `SCORED`.
        rotates: whether the text is rotated.
        together: mappings that stand together.
        chains: chains that are read or asked.

    Raises:
        ValueError: if a choice is unknown, or they do not fit together.
    """
    check_choice("window_packing", window_packing, WINDOW_PACKINGS)
    check_choice("scored", scored, SCORED)
    if window_packing == "stream" and scored != "all":
        raise ValueError(
            "A stream is scored whole; answers alone need windows of whole "
            "pairs, window_packing='pairs'. Received: "
            f"scored={scored!r} with window_packing='stream'"
        )
    if window_packing == "pairs" and (rotates or together or chains):
        raise ValueError(
            "Windows of whole pairs need pairs of one length, one after the "
            "other, and a text that is not rotated. Received: "
            f"window_packing='pairs' with rotates={rotates}, "
            f"together={together}, chains={chains}"
        )
