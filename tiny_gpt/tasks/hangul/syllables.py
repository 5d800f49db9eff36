"""Hangul syllables from Python's own `unicodedata`: their jamo and letters.

A syllable is an initial, a medial and a final, called jamo. NFD takes it apart
(Unicode Standard, sec. 3.12), and its Unicode name ends in Latin letters:
U+AC01 is "HANGUL SYLLABLE GAG".
"""

import functools
import itertools
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

PLACES = ("initial", "medial", "final")
# First code point and number of the jamo of each place (Unicode, sec. 3.12).
# A syllable without a final is left out.
JAMO = ((0x1100, 19), (0x1161, 21), (0x11A8, 27))
SILENT, VOWEL = "\u110b", "\u1161"  # written without a letter, and as A
NAME = "HANGUL SYLLABLE "


def compose(jamo: Iterable[str]) -> str:
    """Returns the syllable of an initial, a medial and perhaps a final."""
    return unicodedata.normalize("NFC", "".join(jamo))


def decompose(syllable: str) -> tuple[str, ...]:
    """Returns the jamo of a syllable."""
    return tuple(unicodedata.normalize("NFD", syllable))


def _romanised(*jamo: str) -> str:
    return unicodedata.name(compose(jamo)).removeprefix(NAME)


@functools.cache
def letters_by_jamo() -> tuple[dict[str, str], ...]:
    """Returns the Latin letters of each jamo, one dictionary a place.

    They follow from names of syllables: GA is G and A. The silent initial,
    which has no letters, is left out.
    """
    initials, medials, finals = (
        [chr(first + i) for i in range(count)] for first, count in JAMO
    )
    return (
        {
            x: _romanised(x, VOWEL).removesuffix("A")
            for x in initials
            if x != SILENT
        },
        {x: _romanised(SILENT, x) for x in medials},
        {x: _romanised(SILENT, VOWEL, x).removeprefix("A") for x in finals},
    )


@dataclass(frozen=True)
class Block:
    """All syllables of a few jamo.

    Attributes:
        jamo: n of each place.
    """

    jamo: tuple[tuple[str, ...], ...]

    @functools.cached_property
    def syllables(self) -> tuple[str, ...]:
        """All n^3 syllables."""
        return tuple(map(compose, itertools.product(*self.jamo)))

    @functools.cached_property
    def spelling(self) -> np.ndarray:
        """Number of each syllable's jamo among those of its place, (n^3, 3).

        That of its letters is the same.
        """
        numbers = [{x: i for i, x in enumerate(place)} for place in self.jamo]
        return np.array(
            [
                [table[x] for table, x in zip(numbers, parts, strict=True)]
                for parts in map(decompose, self.syllables)
            ]
        )


def draw_blocks(
    num_jamo: int, num_blocks: int, rng: np.random.Generator
) -> list[Block]:
    """Draws blocks that have no jamo in common.

    Args:
        num_jamo: jamo of each place in a block, n.
        num_blocks: how many.
        rng: source of randomness.
    """
    drawn = [rng.permutation(list(table)) for table in letters_by_jamo()]
    starts = [i * num_jamo for i in range(num_blocks)]
    return [
        Block(tuple(tuple(map(str, x[i : i + num_jamo])) for x in drawn))
        for i in starts
    ]
