"""Invented languages and the one-to-one mappings between them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

SEPARATOR = "."  # between a sentence and its translation
END = "|"  # after the translation


@dataclass(frozen=True)
class Language:
    """An alphabet: the words of one invented language.

    A sentence is an array of positions in `symbols`, so that mappings are
    array look-ups.

    Attributes:
        name: label of the language, e.g. "A".
        symbols: its words, one character each, all different.

    Raises:
        ValueError: if a symbol is not one character, occurs twice, or is a
            separator or a space.
    """

    name: str
    symbols: tuple[str, ...]

    def __post_init__(self):
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError(
                "A language cannot have the same symbol twice. "
                f"Received: symbols={self.symbols}"
            )
        for symbol in self.symbols:
            # SentencePiece's mark is a token of its own (`vocabulary.py`).
            if len(symbol) != 1 or symbol.isspace() or symbol == "\u2581":
                raise ValueError(
                    "A symbol is one character other than a space. "
                    f"Received: symbol={symbol!r}"
                )
            if symbol in (SEPARATOR, END):
                raise ValueError(
                    f"The separators {SEPARATOR!r} and {END!r} cannot be "
                    f"symbols. Received: symbols={self.symbols}"
                )


@dataclass(frozen=True)
class Mapping:
    """A one-to-one word-by-word mapping ("encoding function" in the paper).

    Attributes:
        source: language translated from.
        target: language translated into.
        permutation: position in `target.symbols` of the translation of each
            of `source.symbols`.
        before: mappings from `source` whose translations are written before
            this one's: A->B in the chain "A->B->C", see `chain`.

    Raises:
        ValueError: if `permutation` is not a permutation of all positions.
    """

    source: Language
    target: Language
    permutation: tuple[int, ...]
    before: tuple["Mapping", ...] = ()

    def __post_init__(self):
        positions = list(range(len(self.source.symbols)))
        sizes_agree = len(self.target.symbols) == len(positions)
        if not sizes_agree or sorted(self.permutation) != positions:
            raise ValueError(
                "A mapping must be one-to-one: `permutation` takes each "
                f"position of both languages once. Received: {self.label}, "
                f"permutation={self.permutation}"
            )

    @property
    def label(self) -> str:
        """The label of the mapping, e.g. "A->B"."""
        written = (step.target.name for step in (*self.before, self))
        return "->".join([self.source.name, *written])

    def translate(self, sentences: np.ndarray) -> np.ndarray:
        """Translates sentences word by word.

        Args:
            sentences: positions in the source alphabet, any shape.

        Returns:
            Positions in the target alphabet, the same shape.
        """
        return np.asarray(self.permutation)[sentences]

    def inverse(self) -> "Mapping":
        """Returns the mapping that undoes this one, in one step."""
        permutation = tuple(int(i) for i in np.argsort(self.permutation))
        return Mapping(self.target, self.source, permutation)

    def then(self, other: "Mapping") -> "Mapping":
        """Returns the composition in one step: this mapping, then `other`.

        Raises:
            ValueError: if `other` does not start where this mapping ends.
        """
        if self.target != other.source:
            raise ValueError(
                "Two mappings compose only where the first ends in the "
                "language in which the second starts. Received: "
                f"{self.label} then {other.label}"
            )
        permutation = tuple(other.permutation[i] for i in self.permutation)
        return Mapping(self.source, other.target, permutation)


def chain(steps: Iterable[Mapping]) -> Mapping:
    """Returns the mapping that takes all steps, and writes each of them.

    Args:
        steps: mappings, each from the language in which the former ends; a
            single one is returned as it is.
    """
    *before, last = accumulate(steps, Mapping.then)
    return replace(last, before=tuple(before))


def names_in(label: str) -> tuple[str, ...]:
    """Returns the languages of "A->B", or of the chain "A->B->C", in order."""
    return tuple(label.split("->"))


def steps_of(label: str) -> tuple[str, ...]:
    """Splits the chain "A->B->C" into ("A->B", "B->C"); "A->B" is one step."""
    return tuple(map("->".join, pairwise(names_in(label)))) or (label,)


def split_label(label: str) -> tuple[str, str]:
    """Splits "A->B" into ("A", "B"), and the identity "B->B" into ("B", "B").

    Raises:
        ValueError: if the label does not name two languages.
    """
    names = names_in(label)
    if len(names) != 2 or not all(names):
        raise ValueError(
            "A mapping is labelled 'X->Y' with two languages. "
            f"Received: {label!r}"
        )
    return names[0], names[1]


def language_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Returns the languages that mapping labels name, in alphabetical order."""
    return tuple(
        sorted({name for label in labels for name in split_label(label)})
    )


def draw_languages(
    names: Iterable[str],
    alphabet_size: int,
    characters: str,
    rng: np.random.Generator,
) -> dict[str, Language]:
    """Draws disjoint alphabets (Sinha 2024, sec. 3.1).

    Args:
        names: labels of the languages.
        alphabet_size: symbols per language.
        characters: pool from which all symbols are drawn without replacement.
        rng: source of randomness.

    Returns:
        Language by name; the order of its symbols is random too.

    Raises:
        ValueError: if the pool has too few characters.
    """
    names = tuple(names)
    needed = len(names) * alphabet_size
    if needed > len(characters):
        raise ValueError(
            "Languages are disjoint, so all their symbols together cannot "
            f"outnumber the characters: {len(names)} languages of "
            f"{alphabet_size} symbols need {needed}. Received: "
            f"{len(characters)} characters"
        )
    drawn = [characters[i] for i in rng.permutation(len(characters))[:needed]]
    return {
        name: Language(
            name, tuple(drawn[i * alphabet_size : (i + 1) * alphabet_size])
        )
        for i, name in enumerate(names)
    }


def find_route(label: str, given: Iterable[str]) -> list[str]:
    """Finds the shortest way from one language to another.

    A given mapping may be walked in either direction.

    Args:
        label: mapping wanted, e.g. "D->B".
        given: labels of the mappings that are known, e.g. ("A->B", "A->D").

    Returns:
        Labels of the steps, e.g. ["D->A", "A->B"]; none for an identity.

    Raises:
        ValueError: if no way leads there.
    """
    source, target = split_label(label)
    given = tuple(given)
    neighbours: dict[str, list[str]] = {}
    for start, end in map(split_label, given):
        neighbours.setdefault(start, []).append(end)
        neighbours.setdefault(end, []).append(start)

    routes: dict[str, list[str]] = {source: []}
    queue = deque([source] if source in neighbours else [])
    while queue:
        here = queue.popleft()
        if here == target:
            return routes[here]
        for there in neighbours.get(here, []):
            if there not in routes:
                routes[there] = [*routes[here], f"{here}->{there}"]
                queue.append(there)
    raise ValueError(
        "A mapping must be given or follow from given ones by inverse and "
        f"composition. Received: {label!r}; given: {', '.join(given)}"
    )


def build_mapping(
    label: str, given: Iterable[str], languages: dict[str, Language]
) -> Mapping:
    """Builds a mapping from the given ones, by inverse and composition.

    Given mappings pair the alphabets position by position; since the
    alphabets are shuffled, such a mapping is random (Sinha 2024, sec. 3.1).

    Args:
        label: mapping wanted, e.g. "A->C".
        given: labels of the mappings that are known, e.g. ("A->B", "B->C").
        languages: language by name.

    Returns:
        The mapping.

    Raises:
        ValueError: if it does not follow from the given ones.
    """
    given = tuple(given)
    source, _ = split_label(label)
    route = find_route(label, given)
    size = len(languages[source].symbols)
    result = Mapping(languages[source], languages[source], tuple(range(size)))
    for step in route:
        start, end = split_label(step)
        forward = step in given
        first, second = (start, end) if forward else (end, start)
        by_position = Mapping(
            languages[first], languages[second], tuple(range(size))
        )
        result = result.then(by_position if forward else by_position.inverse())
    return result


def scramble(mapping: Mapping, rng: np.random.Generator) -> Mapping:
    """Draws a mapping that disagrees with a given one on every word.

    Args:
        mapping: mapping of at least two words.
        rng: source of randomness.

    Returns:
        A mapping between the same languages, uniform among those that
        translate no word alike.
    """
    while True:  # about e draws on average
        drawn = rng.permutation(len(mapping.permutation))
        if not np.any(drawn == np.asarray(mapping.permutation)):
            permutation = tuple(int(i) for i in drawn)
            return Mapping(mapping.source, mapping.target, permutation)
