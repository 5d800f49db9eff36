"""The task of Hangul: syllables, their jamo, and the Latin letters of these.

The invented words of `Translation` have no parts. Those of this task have
three, and A->C shows one third of the words only. Who learns A->C afresh
cannot know the others, who has found the parts can.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiny_gpt.analysis.baseline import memorisation_accuracy
from tiny_gpt.analysis.dictionary import dictionary_accuracy
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.greedy import check_fits
from tiny_gpt.runtime.checks import check_whole
from tiny_gpt.tasks.hangul.data import HangulData
from tiny_gpt.tasks.hangul.syllables import PLACES, draw_blocks
from tiny_gpt.tasks.hangul.vocabulary import (
    LENGTH,
    MAPPINGS,
    SPARSE,
    SYLLABIC,
    Vocabulary,
    kinds_of_pair,
)
from tiny_gpt.tasks.translation.windows import tokens_per_window

MOST_JAMO = 9  # two blocks share 18 initials with letters
CHANCE_LABEL = "chance, place of the letter known"


@dataclass(frozen=True)
class Hangul:
    """Spelling of syllables in jamo and in Latin letters (`Task`).

    A is syllables, one token each; B the jamo of A; C the Latin letters of B.
    D, E and F are the same of other jamo. Sentences have two syllables,
    drawn uniformly, and are written `a a . b b b b b b |`. Jamo and letters
    have one token for each place: the G of GAG in front and at the end are
    two tokens, as its jamo are two characters of Unicode. So each place has n
    candidates, and the number of tokens does not depend on what was drawn.

    Each seed draws the jamo from those that have letters. A->C shows the
    syllables whose numbers of initial, medial and final sum to less than n / 3,
    modulo n: each letter is in as many of them as any other letter of its
    place, and so it is in the syllables that are not shown. Whoever knows
    nothing of the parts of these is therefore right in 1 / n of their letters
    on average, whatever he says. (Teacher-forced he may be right less often:
    two letters of a syllable that is not shown and a third that was shown after
    them never belong together.)

    Windows hold as many whole pairs of one mapping as fit. Padding is not
    scored. The pairs of each mapping are dealt to windows anew in each epoch,
    so that no window is read twice.

    Attributes:
        num_jamo: jamo of each place, n; n^3 syllables.
        majority: mappings of `num_majority` pairs, of `vocabulary.MAPPINGS`.
            E->C spells the i-th jamo of E by the i-th letter of C: nothing
            leads from A to it.
        num_majority: pairs of each of them.
        num_sparse: pairs of A->C.
        is_scrambled: whether letters of A->C are those of C, deranged for each
            place: never what A->B and B->C compose to.

    Raises:
        ValueError: if a number is out of range, a mapping is unknown or stands
            twice, or nothing is read.
    """

    num_jamo: int = 6
    majority: tuple[str, ...] = ("A->B", "B->C")
    num_majority: int = 2500
    num_sparse: int = 360
    is_scrambled: bool = False

    pivots: ClassVar[tuple[str, ...]] = ()
    has_unscored_targets: ClassVar[bool] = True
    answer_length: ClassVar[int] = LENGTH * len(PLACES)

    def __post_init__(self):
        for name, least in (
            ("num_jamo", 2),
            ("num_majority", 1),
            ("num_sparse", 0),
        ):
            check_whole(name, getattr(self, name), least)
        if self.num_jamo > MOST_JAMO:
            raise ValueError(
                f"`num_jamo` is at most {MOST_JAMO}, since two blocks share "
                f"the initials. Received: num_jamo={self.num_jamo}"
            )
        known = set(MAPPINGS) - {SPARSE}
        is_whole = len(set(self.majority)) == len(self.majority)
        if not known.issuperset(self.majority) or not is_whole:
            raise ValueError(
                f"`majority` has some of {sorted(known)}, once each. "
                f"Received: majority={self.majority}"
            )
        if not self.eval_mappings:
            raise ValueError(
                "Something is read: `majority` or `num_sparse`. Received: "
                f"majority={self.majority}, num_sparse={self.num_sparse}"
            )

    @property
    def eval_mappings(self) -> tuple[str, ...]:
        """Mappings of the questions: those that are read."""
        return (*self.majority, *(SPARSE,) * (self.num_sparse > 0))

    @property
    def read_mappings(self) -> tuple[str, ...]:
        """Mappings of the text, in its order."""
        return self.eval_mappings

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, V: those of all languages, used or not."""
        return Vocabulary(self.num_jamo).size

    @property
    def num_sums(self) -> int:
        """Sums of jamo numbers, of n, that A->C shows: n / 3, rounded."""
        return round(self.num_jamo / 3)

    def num_pairs(self, label: str) -> int:
        """Returns the pairs of a mapping in the text."""
        return self.num_sparse if label == SPARSE else self.num_majority

    def num_syllables(self, label: str) -> int:
        """Returns how many syllables the pairs of a mapping are drawn from."""
        shown = self.num_sums if label == SPARSE else self.num_jamo
        return self.num_jamo**2 * shown

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks that pairs and prompts fit the window, see `Task`."""
        numbers = list(evaluation.exact_demonstrations)
        if evaluation.decoding != "published":
            numbers.append(evaluation.num_demonstrations)
        for label in self.eval_mappings:
            size = len(kinds_of_pair(label))
            tokens_per_window("pairs", sequence_length, size)
            question = size - self.answer_length - 1
            for number in numbers:
                num_prompt = number * size + question
                check_fits(num_prompt, self.answer_length, sequence_length)

    def _windows(self, sequence_length: int) -> dict[str, int]:
        """Returns windows by mapping; the last one may have fewer pairs."""
        found = {}
        for label in self.read_mappings:
            size = len(kinds_of_pair(label))
            in_window = tokens_per_window("pairs", sequence_length, size)
            found[label] = math.ceil(self.num_pairs(label) * size / in_window)
        return found

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns windows per epoch of the one phase, see `Task`."""
        return (sum(self._windows(sequence_length).values()),)

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> list[HangulData]:
        """Draws blocks, letters and sentences, see `Task`.

        All conditions of one seed have the same ones: each mapping has a
        source of randomness of its own.
        """
        of_blocks, of_letters, *of_mappings = rng.spawn(2 + len(MAPPINGS))
        blocks = draw_blocks(self.num_jamo, 2, of_blocks)
        deranged = draw_deranged(self.num_jamo, of_letters)
        sums = blocks[0].spelling.sum(axis=1) % self.num_jamo
        shown = np.flatnonzero(sums < self.num_sums)
        sentences = {}
        for label, source in zip(MAPPINGS, of_mappings, strict=True):
            if label in self.read_mappings:
                size = self.num_syllables(label)
                drawn = source.integers(
                    size, size=(self.num_pairs(label), LENGTH)
                )
                sentences[label] = shown[drawn] if label == SPARSE else drawn
        vocabulary = Vocabulary(
            self.num_jamo, blocks, deranged if self.is_scrambled else None
        )
        return [HangulData(vocabulary, sequence_length, sentences, shown)]

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the floors "told" and "inferred", see `Task`.

        Nats per scored token. Both readers know which syllables A->C shows.
        Told its mapping, a window costs ln of the number of syllables for each
        of them, but nothing for its first token, which is not predicted. Who
        is not told pays besides -ln p(mapping | first token), since the first
        whole pair settles the mapping.
        """
        windows = self._windows(sequence_length)
        told = inferred = 0.0
        num_scored = 0
        for label, count in windows.items():
            size, pairs = self.num_syllables(label), self.num_pairs(label)
            told += LENGTH * pairs * math.log(size)
            told -= count * math.log(self._num_first(label))
            inferred += count * self._doubt(label, windows)
            num_scored += pairs * len(kinds_of_pair(label)) - count
        return {
            "told": told / num_scored,
            "inferred": (told + inferred) / num_scored,
        }

    def _num_first(self, label: str) -> int:
        """Returns how many first tokens a pair can have, equally likely."""
        is_syllabic = label[0] in SYLLABIC
        return self.num_syllables(label) if is_syllabic else self.num_jamo

    def _doubt(self, label: str, windows: Mapping[str, int]) -> float:
        """Returns -ln p(mapping | first token), the mean over its tokens.

        Of the tokens of two mappings from one language, one mapping's are all
        among the other's.
        """
        rivals = {m: self._num_first(m) for m in windows if m[0] == label[0]}
        nats, below = 0.0, 0
        for size in sorted(set(rivals.values())):
            if size <= rivals[label]:
                likely = {
                    m: windows[m] / num
                    for m, num in rivals.items()
                    if num >= size
                }
                odds = sum(likely.values()) / likely[label]
                nats += (size - below) / rivals[label] * math.log(odds)
                below = size
        return nats

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns the baselines over every sentence, see `Task`.

        All know the letters, or jamo, of each place. "memoriser" recalls
        sentences. "dictionary" recalls words: syllables, or the jamo from
        which a mapping starts. Both guess on syllables that A->C never shows,
        1 / n.
        """
        chance = 1 / self.num_jamo
        return {
            "chance": self._by_mapping(lambda label: chance),
            "memoriser": self._by_mapping(
                lambda label: memorisation_accuracy(
                    self._share_read(label, LENGTH), chance
                )
            ),
            "dictionary": self._by_mapping(self._dictionary),
        }

    def _by_mapping(self, function) -> dict[str, float]:
        return {label: function(label) for label in self.eval_mappings}

    def _share_read(self, label: str, length: int) -> float:
        """Returns the expected share of rows of syllables that are read.

        Args:
            label: mapping.
            length: syllables in a row, 1 or those of a sentence.
        """
        possible = self.num_syllables(label) ** length
        draws = self.num_pairs(label) * LENGTH // length
        read = possible * -math.expm1(draws * math.log1p(-1 / possible))
        return read / self.num_jamo ** (3 * length)

    def _dictionary(self, label: str) -> float:
        if label[0] in SYLLABIC:
            chance = 1 / self.num_jamo
            return memorisation_accuracy(self._share_read(label, 1), chance)
        draws = self.num_pairs(label) * LENGTH
        return dictionary_accuracy(self.num_jamo, 1, draws)


def draw_deranged(num_jamo: int, rng: np.random.Generator) -> np.ndarray:
    """Draws, for each place, an order in which no number stands at its own.

    Returns:
        Numbers below n, shape (3, n); all such orders are equally likely.
    """
    numbers = np.arange(num_jamo)

    def draw() -> Iterable[int]:
        while True:
            order = rng.permutation(num_jamo)
            if (order != numbers).all():
                return order

    return np.array([draw() for _ in PLACES])
