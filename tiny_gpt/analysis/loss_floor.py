"""Loss floors: the lowest loss that a stream allows, from its entropy.

A window is a row of T + 1 tokens cut from pairs `w w w w . v v v v |`. Its
last T tokens are predicted from what precedes them in the row. The predictor
knows the mappings, and that sentences are uniform. Two kinds of rows are left
out: those at the joint of two mappings and the padded last row, 3 of 2196 in
Sinha 2024, sec. 3.1.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Packing:
    """The layout of sentence pairs in the windows of a stream.

    Attributes:
        alphabet_size: symbols per language, n.
        sentence_length: words per sentence, all different, k.
        sequence_length: predicted tokens in a window, T.
        tokens_per_word: 1, or 2 if a space mark precedes each word.

    Raises:
        ValueError: if a number is outside its range.
    """

    alphabet_size: int
    sentence_length: int
    sequence_length: int
    tokens_per_word: int

    def __post_init__(self):
        if (
            not 1 <= self.sentence_length <= self.alphabet_size
            or self.sequence_length < 1
            or self.tokens_per_word not in (1, 2)
        ):
            raise ValueError(
                "`sentence_length` must lie between 1 and `alphabet_size`, "
                "`sequence_length` be at least 1, and `tokens_per_word` be 1 "
                f"or 2. Received: {self}"
            )

    @property
    def offsets(self) -> range:
        """Places in a pair, in tokens, at which rows start equally often.

        They are the multiples of gcd(T + 1, tokens per pair), since a row
        starts every T + 1 tokens. With 2 tokens per word, a row at an odd
        offset starts between a space mark and its word.
        """
        num_tokens = 2 * (self.sentence_length + 1) * self.tokens_per_word
        step = math.gcd(self.sequence_length + 1, num_tokens)
        return range(0, num_tokens, step)

    def place(self, token: int) -> int | None:
        """Returns a token's place in its pair, in words; None for a space mark.

        Source words have places 0 to k - 1, the separator k, target words
        k + 1 to 2 k, and the end 2 k + 1.
        """
        word, rest = divmod(token, self.tokens_per_word)
        if rest != self.tokens_per_word - 1:
            return None
        return word % (2 * self.sentence_length + 2)


def _walk(packing: Packing, offset: int) -> list[tuple[str, float]]:
    """Returns kind and entropy, in nats, of a row's predicted tokens."""
    k = packing.sentence_length
    shown: set[int] = set()  # places of the sentence that the row has shown
    tokens = []
    for token in range(offset, offset + packing.sequence_length + 1):
        place, kind, nats = packing.place(token), "separators", 0.0
        if place is None:
            kind = "space_marks"
        elif place == 2 * k + 1:
            shown = set()
        elif place != k:
            kind = "source_words" if place < k else "answer_words"
            if place % (k + 1) not in shown:
                nats = math.log(packing.alphabet_size - len(shown))
            shown.add(place % (k + 1))
        tokens.append((kind, nats))
    return tokens[1:]  # the first token is read, not predicted


def told_floor_by_offset(packing: Packing) -> dict[int, float]:
    """Returns the entropy of a row for a reader told its mapping and offset.

    A source word costs ln(n - words of its sentence that the row has shown).
    A target word costs as much if the row started after its source word. All
    other tokens cost 0.

    Returns:
        Nats per predicted token, by offset in tokens.
    """
    floors = {}
    for offset in packing.offsets:
        row = [nats for _, nats in _walk(packing, offset)]
        floors[offset] = math.fsum(row) / len(row)
    return floors


def told_floor_by_kind(packing: Packing) -> dict[str, float]:
    """Splits the told floor by the kind of the predicted token.

    Returns:
        Nats per predicted token of the kind, over the rows of all offsets:
        "source_words", "answer_words", "separators" (with ends),
        "space_marks" and "all". Kinds that never occur are left out.
    """
    nats_by_kind = defaultdict(list)
    for offset in packing.offsets:
        for kind, nats in _walk(packing, offset):
            nats_by_kind[kind].append(nats)
            nats_by_kind["all"].append(nats)
    return {k: math.fsum(v) / len(v) for k, v in nats_by_kind.items()}


def told_floor(packing: Packing) -> float:
    """Returns the told floor over all rows, nats per predicted token."""
    return told_floor_by_kind(packing)["all"]


def _shares(num_pairs_by_mapping: Mapping[str, int]) -> dict[str, float]:
    counts = {m: x for m, x in num_pairs_by_mapping.items() if x != 0}
    are_labels = all(all(m.partition("->")) for m in counts)
    if not counts or min(counts.values()) < 0 or not are_labels:
        raise ValueError(
            "Mappings must be labelled like 'A->B', and their numbers of "
            "pairs not be negative, nor all 0. "
            f"Received: num_pairs_by_mapping={dict(num_pairs_by_mapping)}"
        )
    return {m: x / sum(counts.values()) for m, x in counts.items()}


def _first_classes(packing: Packing, mapping: str) -> list[str]:
    k, (source, _, target) = packing.sentence_length, mapping.partition("->")
    pair = [*[source] * k, ".", *[target] * k, "|"]
    places = [packing.place(offset) for offset in packing.offsets]
    return [" " if place is None else pair[place] for place in places]


def inferring_floor_by_mapping(
    packing: Packing, num_pairs_by_mapping: Mapping[str, int]
) -> dict[str, float]:
    """Returns the Bayes predictor's loss on the rows of each mapping.

    The predictor is not told z = (mapping, offset), where p(z) = share of
    pairs / number of offsets. A row that determines z costs -ln p(z) more
    than if told. Of that, the first token, which is not predicted, pays
    -ln p(class): its class (word of a language, separator, end or space mark)
    follows from z, and the word itself says nothing of z. The floor is
    therefore told + mean over offsets of ln(p(class) / p(z)) / T. A rare
    mapping pays more.

    A row determines z if it shows k + 3 words. With k + 1 it holds a separator
    or an end, hence the offset is known, but `. v v v v |` still lacks the
    source language.

    Args:
        packing: the layout of pairs in windows.
        num_pairs_by_mapping: e.g. {"A->B": 2500}; those of 0 pairs drop out.

    Returns:
        Nats per predicted token, over the rows of a mapping.

    Raises:
        ValueError: if there are no pairs, a number is negative, a label is
            not like "A->B", or a row may show fewer than k + 3 words.
    """
    shares, k = _shares(num_pairs_by_mapping), packing.sentence_length
    if (packing.sequence_length + 1) // packing.tokens_per_word < k + 3:
        raise ValueError(
            "Every row must show at least `sentence_length` + 3 words, or it "
            f"may not settle its mapping. Received: {packing}"
        )
    num_offsets = len(packing.offsets)
    classes = {mapping: _first_classes(packing, mapping) for mapping in shares}
    share_by_class: dict[str, float] = defaultdict(float)
    for mapping, share in shares.items():
        for first in classes[mapping]:
            share_by_class[first] += share / num_offsets
    told, floors = told_floor(packing), {}
    for mapping, share in shares.items():
        inferred = [
            math.log(share_by_class[first] * num_offsets / share)
            for first in classes[mapping]
        ]
        mean = math.fsum(inferred) / num_offsets
        floors[mapping] = told + mean / packing.sequence_length
    return floors


def inferring_floor(
    packing: Packing, num_pairs_by_mapping: Mapping[str, int]
) -> float:
    """Returns the lowest loss of a model that must infer mapping and offset.

    told + [I(z; row) - I(z; first token)] / T, with z = (mapping, offset) and
    I(z; row) = H(z). It is the mean of `inferring_floor_by_mapping` over all
    rows, in nats per predicted token. A training loss below it is due to
    memorised text.
    """
    shares = _shares(num_pairs_by_mapping)
    floors = inferring_floor_by_mapping(packing, num_pairs_by_mapping)
    return math.fsum(shares[m] * floor for m, floor in floors.items())
