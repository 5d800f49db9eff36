"""Tokens of the languages of Hangul, and pairs in them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, SOURCE
from tiny_gpt.tasks.hangul.syllables import PLACES, Block, letters_by_jamo

PADDING_ID, SEPARATOR_ID, END_ID = 0, 1, 2
LENGTH = 2  # syllables of a sentence
LANGUAGES = ("A", "B", "C", "D", "E", "F")  # three of each block
SYLLABIC = ("A", "D")  # one token a syllable, in place of one a part
SPARSE = "A->C"
MAPPINGS = ("A->B", "B->C", "B->B", "E->C", "D->E", "E->F", SPARSE)


def kinds_of_pair(label: str) -> np.ndarray:
    """Returns the kind (`Windows.kinds`) of each token of a pair."""
    num_source = LENGTH * (1 if label[0] in SYLLABIC else len(PLACES))
    question = [*[SOURCE] * num_source, BETWEEN]
    return np.array([*question, *[ANSWER] * LENGTH * len(PLACES), BETWEEN])


@dataclass(frozen=True)
class Vocabulary:
    """Token ids: padding, separator, end, and the languages in order.

    Attributes:
        num_jamo: jamo of each place, n.
        blocks: of A, B, C and of D, E, F; ids do not depend on them.
        deranged: number of the letter that A->C writes, by place and number of
            C's, shape (3, n); None for C's own.
    """

    num_jamo: int
    blocks: Sequence[Block] = ()
    deranged: np.ndarray | None = field(default=None, compare=False)

    @functools.cached_property
    def starts(self) -> dict[str, int]:
        """First id of each language."""
        starts, start = {}, END_ID + 1
        for name in LANGUAGES:
            starts[name] = start
            start += self._num_tokens(name)
        return starts

    def _num_tokens(self, language: str) -> int:
        n = self.num_jamo
        return n**3 if language in SYLLABIC else len(PLACES) * n

    @property
    def size(self) -> int:
        """Number of token ids, V."""
        return END_ID + 1 + sum(map(self._num_tokens, LANGUAGES))

    def candidates(self, language: str) -> np.ndarray:
        """Returns the ids of a spelled language by place, shape (3, n)."""
        ids = np.arange(len(PLACES) * self.num_jamo) + self.starts[language]
        return ids.reshape(len(PLACES), -1)

    def encode(
        self, language: str, sentences: np.ndarray, is_deranged: bool = False
    ) -> np.ndarray:
        """Encodes sentences.

        Args:
            language: one of `LANGUAGES`.
            sentences: numbers of syllables, shape (..., k).
            is_deranged: whether letters are those of `deranged`.

        Returns:
            Token ids, shape (..., k) or (..., 3 k).
        """
        if language in SYLLABIC:
            return self.starts[language] + sentences
        block = self.blocks[LANGUAGES.index(language) // len(PLACES)]
        numbers, places = block.spelling[sentences], np.arange(len(PLACES))
        if is_deranged and self.deranged is not None:
            numbers = self.deranged[places, numbers]
        ids = self.candidates(language)[places, numbers]
        return ids.reshape(*sentences.shape[:-1], -1)

    def questions(self, label: str, sentences: np.ndarray) -> np.ndarray:
        """Encodes `a a .`, shape (..., tokens)."""
        return _end(self.encode(label[0], sentences), SEPARATOR_ID)

    def answers(self, label: str, sentences: np.ndarray) -> np.ndarray:
        """Encodes right answers, `c c c c c c`, shape (..., tokens)."""
        return self.encode(label[-1], sentences, is_deranged=label == SPARSE)

    def pairs(self, label: str, sentences: np.ndarray) -> np.ndarray:
        """Encodes `a a . c c c c c c |`, shape (..., tokens)."""
        answers = _end(self.answers(label, sentences), END_ID)
        return np.concatenate(
            [self.questions(label, sentences), answers], axis=-1
        )

    def write(self, ids: Sequence[int]) -> list[str]:
        """Returns tokens as characters, e.g. the syllable or its letters."""
        tokens = ["", ".", "|"]
        for block in self.blocks:
            tokens += block.syllables
            for place in block.jamo:
                tokens += place
            tables = zip(letters_by_jamo(), block.jamo, strict=True)
            tokens += [table[x] for table, place in tables for x in place]
        return [tokens[i] for i in ids]


def _end(ids: np.ndarray, end: int) -> np.ndarray:
    return np.concatenate([ids, np.full_like(ids[..., :1], end)], axis=-1)
