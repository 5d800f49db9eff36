"""How often each language mapping occurs in the training stream."""

import math
import string
from dataclasses import dataclass

from tiny_gpt.languages import (
    END,
    SEPARATOR,
    Language,
    find_route,
    language_names,
)

LETTERS = string.ascii_lowercase
LETTERS_DIGITS_PUNCTUATION = "".join(
    character
    for character in LETTERS + string.digits + string.punctuation
    if character not in (SEPARATOR, END)
)


@dataclass(frozen=True)
class Component:
    """One language mapping and its share of the mixture.

    Attributes:
        mapping: label of the mapping, e.g. "A->C".
        num_pairs: sentence pairs drawn, with replacement; 0 leaves the
            mapping out of the stream.

    Raises:
        ValueError: if `num_pairs` is negative or not an integer.
    """

    mapping: str
    num_pairs: int

    def __post_init__(self):
        if not isinstance(self.num_pairs, int) or self.num_pairs < 0:
            raise ValueError(
                "`num_pairs` is a whole number that cannot be negative; 0 "
                "leaves the mapping out. "
                f"Received: num_pairs={self.num_pairs} for {self.mapping!r}"
            )


@dataclass(frozen=True)
class Mixture:
    """The data mixture of one experiment.

    The defaults are those of Sinha 2024, sec. 3.1: 8 symbols per language
    and 4 different symbols per sentence, so 8*7*6*5 = 1680 sentences.

    Attributes:
        components: at most one per mapping, in corpus order.
        given: mappings that pair two alphabets position by position; every
            other mapping follows from them by inverse and composition.
        alphabet_size: symbols per language.
        sentence_length: symbols per sentence, all different.
        characters: pool from which the symbols are drawn.

    Raises:
        ValueError: if a mapping occurs twice or does not follow from the
            given ones, nothing is drawn at all, a sentence is longer than
            the alphabet, the alphabets need more characters than there are,
            or a character occurs twice or is a separator.
    """

    components: tuple[Component, ...]
    given: tuple[str, ...] = ("A->B", "B->C")
    alphabet_size: int = 8
    sentence_length: int = 4
    characters: str = LETTERS

    def __post_init__(self):
        mappings = [c.mapping for c in self.components]
        if len(set(mappings)) != len(mappings):
            raise ValueError(
                "Each mapping may have one component only. "
                f"Received: mappings={mappings}"
            )
        for mapping in mappings:
            find_route(mapping, self.given)
        if not any(c.num_pairs for c in self.components):
            raise ValueError(
                "A mixture must hold at least one sentence pair. "
                f"Received: components={self.components}"
            )
        if self.sentence_length < 1:
            raise ValueError(
                "`sentence_length` must be at least 1. Received: "
                f"sentence_length={self.sentence_length}"
            )
        if self.sentence_length > self.alphabet_size:
            raise ValueError(
                "`sentence_length` cannot exceed `alphabet_size`, since no "
                "symbol repeats within a sentence. Received: "
                f"sentence_length={self.sentence_length}, "
                f"alphabet_size={self.alphabet_size}"
            )
        Language("all", tuple(self.characters))  # checks the pool
        needed = len(self.languages) * self.alphabet_size
        if needed > len(self.characters):
            raise ValueError(
                "Languages are disjoint, so they need "
                f"{len(self.languages)} * alphabet_size = {needed} "
                f"characters. Received: {len(self.characters)} characters"
            )

    @property
    def languages(self) -> tuple[str, ...]:
        """Names of the languages, in alphabetical order."""
        return language_names(self.given)

    @property
    def num_sentences(self) -> int:
        """Distinct sentences in one language, |N| in Sinha 2024, sec. 2.4."""
        return math.perm(self.alphabet_size, self.sentence_length)

    def num_pairs(self, mapping: str) -> int:
        """Sentence pairs drawn for `mapping`; 0 if it is not in the mixture."""
        return sum(c.num_pairs for c in self.components if c.mapping == mapping)

    def coverage(self, mapping: str) -> float:
        """Expected share of all sentences drawn at least once, in [0, 1].

        1 - (1 - 1/|N|)^x for x draws with replacement. Sinha 2024, prop. 4
        writes x/|N|, which assumes distinct draws: 0.0298 rather than 0.0293
        at 50 of 1680, but above 1 (1.49 rather than 0.77) at 2500 of 1680.
        """
        miss_once = 1.0 - 1.0 / self.num_sentences
        return 1.0 - miss_once ** self.num_pairs(mapping)
