"""The data mixture: how often each language mapping occurs in the stream."""

import math
import string
from dataclasses import dataclass, replace
from itertools import pairwise

from tiny_gpt.runtime.checks import check_whole
from tiny_gpt.tasks.translation.languages import (
    END,
    SEPARATOR,
    Language,
    find_route,
    language_names,
    names_in,
    split_label,
    steps_of,
)

MOST_SENTENCES = 10**6  # that are listed
LETTERS = string.ascii_lowercase
LETTERS_DIGITS_PUNCTUATION = "".join(
    character
    for character in LETTERS + string.digits + string.punctuation
    if character not in (SEPARATOR, END)
)
# For seven languages of twelve symbols.
LARGEST_POOL = LETTERS_DIGITS_PUNCTUATION + string.ascii_uppercase


@dataclass(frozen=True)
class Component:
    """One language mapping and its share of the mixture.

    Attributes:
        mapping: label of the mapping, e.g. "A->C". "B->B" is the identity:
            pairs of a sentence and itself. The chain "A->B->C" is text step
            by step, `a a a a . b b b b . c c c c |`, which counts as a pair.
        num_pairs: sentence pairs drawn, with replacement; 0 leaves the
            mapping out of the stream.
        num_repeats: times that each drawn pair occurs in the stream, each
            time in another order.
        is_distinct: whether the pairs are drawn without replacement.
        num_held_out: source words that never occur in these pairs: the first
            ones of the shuffled alphabet.

    Raises:
        ValueError: if a count is out of range or not an integer.
    """

    mapping: str
    num_pairs: int
    num_repeats: int = 1
    is_distinct: bool = False
    num_held_out: int = 0

    def __post_init__(self):
        for name, least in (
            ("num_pairs", 0),
            ("num_repeats", 1),
            ("num_held_out", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` is a whole number, at least {least} (0 pairs "
                    "leave the mapping out). "
                    f"Received: {name}={value} for {self.mapping!r}"
                )

    @property
    def num_shown(self) -> int:
        """Sentence pairs in the stream, repeats included."""
        return self.num_pairs * self.num_repeats


@dataclass(frozen=True)
class Mixture:
    """The data mixture of one experiment.

    The defaults are those of Sinha 2024, sec. 3.1: 8 symbols per language
    and 4 different symbols per sentence, so 8*7*6*5 = 1680 sentences.

    Attributes:
        components: at most one per mapping, in corpus order.
        given: mappings that pair two different alphabets position by
            position; every other mapping follows from them by inverse and
            composition.
        scrambled: mappings replaced by a permutation that disagrees, on
            every word, with the one that would follow. A chain takes its
            steps as they are.
        alphabet_size: symbols per language.
        sentence_length: symbols per sentence, all different.
        characters: pool from which the symbols are drawn.
        together: mappings whose pairs are about one sentence and follow each
            other in the text: ("A->B", "B->C") gives
            `a a a a . b b b b | b b b b . c c c c |`, where the first has its
            place in corpus order. Their components have equal counts.

    Raises:
        ValueError: if a given mapping is an identity; a mapping occurs twice
            or does not follow from the given ones; a given one is to be
            scrambled; nothing is drawn at all; a sentence is longer than the
            alphabet; there are fewer sentences than distinct ones are wanted;
            the alphabets need more characters than there are; a character
            occurs twice or is a separator; or mappings that stand together
            do not continue each other or are not equally often in the text.
    """

    components: tuple[Component, ...]
    given: tuple[str, ...] = ("A->B", "B->C")
    scrambled: tuple[str, ...] = ()
    alphabet_size: int = 8
    sentence_length: int = 4
    characters: str = LETTERS
    together: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("alphabet_size", "sentence_length"):
            value = getattr(self, name)
            check_whole(name, value, 1)
        names = {name.lower() for name in self.languages}
        if len(names) < len(self.languages) or not all(
            name.isalnum() and name.isascii() for name in names
        ):
            raise ValueError(
                "Languages have names of letters and digits, which differ in "
                f"more than their case. Received: {self.languages}"
            )
        if any(len(set(split_label(label))) < 2 for label in self.given):
            raise ValueError(
                "A given mapping pairs two different languages. "
                f"Received: given={self.given}"
            )
        mappings = [c.mapping for c in self.components]
        if len(set(mappings)) != len(mappings):
            raise ValueError(
                "Each mapping may have one component only. "
                f"Received: mappings={mappings}"
            )
        steps = [step for mapping in mappings for step in steps_of(mapping)]
        for mapping in (*steps, *self.scrambled):
            find_route(mapping, self.given)
        if set(self.scrambled) & set(self.given):
            raise ValueError(
                "A given mapping is what others follow from and cannot be "
                f"scrambled. Received: scrambled={self.scrambled}"
            )
        if self.scrambled and self.alphabet_size < 2:
            raise ValueError(
                "A mapping of one word cannot be scrambled. Received: "
                f"alphabet_size={self.alphabet_size}"
            )
        if not any(c.num_pairs for c in self.components):
            raise ValueError(
                "A mixture must hold at least one sentence pair. "
                f"Received: components={self.components}"
            )
        if self.sentence_length > self.alphabet_size:
            raise ValueError(
                "`sentence_length` cannot exceed `alphabet_size`, since no "
                "symbol repeats within a sentence. Received: "
                f"sentence_length={self.sentence_length}, "
                f"alphabet_size={self.alphabet_size}"
            )
        for c in self.components:
            self._check_sentences(c)
        self._check_together()
        Language("all", tuple(self.characters))  # checks the pool
        needed = len(self.languages) * self.alphabet_size
        if needed > len(self.characters):
            raise ValueError(
                "Languages are disjoint, so they need "
                f"{len(self.languages)} * alphabet_size = {needed} "
                f"characters. Received: {len(self.characters)} characters"
            )

    def _check_sentences(self, component: Component) -> None:
        available = self.alphabet_size - component.num_held_out
        if available < self.sentence_length:
            raise ValueError(
                "The words that are not held out must fill a sentence. "
                f"Received: num_held_out={component.num_held_out} of "
                f"{self.alphabet_size} for {component.mapping!r}"
            )
        num_sentences = math.perm(available, self.sentence_length)
        if component.is_distinct and num_sentences > MOST_SENTENCES:
            raise ValueError(
                "Distinct sentences are drawn from a list of all, at most "
                f"{MOST_SENTENCES}. Received: {num_sentences} for "
                f"{component.mapping!r}"
            )
        if component.is_distinct and component.num_pairs > num_sentences:
            raise ValueError(
                f"Only {num_sentences} sentences are distinct. Received: "
                f"num_pairs={component.num_pairs} for {component.mapping!r}"
            )

    def _check_together(self) -> None:
        mappings = [c.mapping for c in self.components]
        is_once = len(set(self.together)) == len(self.together) != 1
        if not is_once or not set(self.together) <= set(mappings):
            raise ValueError(
                "Two mappings or more stand together, each once and each with "
                f"a component. Received: together={self.together} of {mappings}"
            )
        for former, latter in pairwise(self.together):
            if names_in(former)[-1] != names_in(latter)[0]:
                raise ValueError(
                    "Of mappings that stand together, each starts in the "
                    "language in which the former ends. "
                    f"Received: together={self.together}"
                )
        parts = [self.component(mapping) for mapping in self.together]
        if len({replace(part, mapping="") for part in parts}) > 1:
            raise ValueError(
                "Mappings that stand together are about the same sentences, "
                f"so their components have equal counts. Received: {parts}"
            )

    @property
    def languages(self) -> tuple[str, ...]:
        """Names of the languages, in alphabetical order."""
        return language_names(self.given)

    @property
    def num_sentences(self) -> int:
        """Distinct sentences in one language, |N| in Sinha 2024, sec. 2.4."""
        return math.perm(self.alphabet_size, self.sentence_length)

    def component(self, mapping: str) -> Component:
        """Component of `mapping`; if it has none, one without pairs."""
        for component in self.components:
            if component.mapping == mapping:
                return component
        return Component(mapping, 0)

    @property
    def documents(self) -> tuple[tuple[str, ...], ...]:
        """Mappings of the pairs about one sentence, in corpus order.

        One mapping each, but for those that stand together.
        """
        return tuple(
            self.together if c.mapping in self.together else (c.mapping,)
            for c in self.components
            if c.mapping not in self.together[1:]
        )

    def num_pairs(self, mapping: str) -> int:
        """Sentence pairs drawn for `mapping`; 0 if it is not in the mixture."""
        return self.component(mapping).num_pairs

    @property
    def num_shown(self) -> int:
        """Sentence pairs in the whole stream, repeats included."""
        return sum(c.num_shown for c in self.components)

    def coverage(self, mapping: str) -> float:
        """Expected share of all sentences drawn at least once, in [0, 1].

        1 - (1 - 1/|N|)^x for x draws with replacement. Sinha 2024, prop. 4
        writes x/|N|, which assumes distinct draws: 0.0298 rather than 0.0293
        at 50 of 1680, but above 1 (1.49 rather than 0.77) at 2500 of 1680.
        Distinct draws give x/|N|. If words are held out, draws reach only the
        sentences without them; the share is still one of all sentences.
        """
        drawn = self.component(mapping)
        if drawn.is_distinct:
            return drawn.num_pairs / self.num_sentences
        available = self.alphabet_size - drawn.num_held_out
        reachable = math.perm(available, self.sentence_length)
        reached = 1.0 - (1.0 - 1.0 / reachable) ** drawn.num_pairs
        return reached * reachable / self.num_sentences
