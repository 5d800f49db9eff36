"""The vocabulary: from sentences to token ids, and back to text."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tiny_gpt.tasks.translation.languages import (
    END,
    SEPARATOR,
    Language,
    Mapping,
)
from tiny_gpt.tasks.translation.mixture import Mixture

PADDING_ID = 0  # also what an unknown token becomes
SPACE = "\u2581"  # SentencePiece's space mark
TAG = ">"  # before the name of the language asked for
# SentencePiece reserves three ids, of which only 0 ever occurs.
CHARACTERS_SPECIALS = ("<unk>", "<s>", "</s>", SPACE)
WORDS_SPECIALS = ("<pad>",)


@dataclass(frozen=True)
class Vocabulary:
    """Token ids of a set of languages.

    `kind="characters"` is the published tokenisation (SentencePiece unigram,
    Corpus2GPT, tokenizer/tokenizer.py). Every word and separator is a space
    mark followed by its character: 20 tokens for a sentence pair of 4 words.
    The vocabulary is 30 for 3 languages of 8 symbols, 54 for 4 of 12.
    `kind="words"` drops the space mark: 10 tokens for the same pair.

    With a target tag, which is not published, the separator follows the mark
    ">" and one token for the language asked for: `w w w w > C . v v v v |`.
    These tokens have the last ids, so that all others keep theirs. They are
    no words: a word that is written the same has an id of its own.

    Attributes:
        kind: "characters" or "words".
        languages: the languages, in the order of their ids.
        has_target_tag: whether questions name the language asked for.

    Raises:
        ValueError: if `kind` is unknown.
    """

    kind: str
    languages: tuple[Language, ...]
    has_target_tag: bool = False

    def __post_init__(self):
        if self.kind not in ("characters", "words"):
            raise ValueError(
                "`kind` must be 'characters' or 'words'. "
                f"Received: kind={self.kind!r}"
            )

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every token, by id."""
        if not self.has_target_tag:
            return self._untagged
        names = (language.name for language in self.languages)
        return (*self._untagged, TAG, *names)

    @cached_property
    def _untagged(self) -> tuple[str, ...]:
        specials = (
            CHARACTERS_SPECIALS if self.kind == "characters" else WORDS_SPECIALS
        )
        symbols = [s for language in self.languages for s in language.symbols]
        return (*specials, SEPARATOR, END, *symbols)

    @property
    def size(self) -> int:
        """Number of token ids, V."""
        return len(self.tokens)

    @property
    def tokens_per_word(self) -> int:
        """Tokens that one word or separator takes: 2 with space marks."""
        return tokens_per_word(self.kind)

    @property
    def words_between(self) -> int:
        """Words from a sentence to its translation: 1, or 3 with a tag."""
        return words_between(self.has_target_tag)

    @cached_property
    def _id_by_token(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self._untagged)}

    def ids(self, language: Language, sentences: np.ndarray) -> np.ndarray:
        """Returns token ids of sentences, without space marks.

        Args:
            language: language of the sentences.
            sentences: positions in its alphabet, any shape.

        Returns:
            Ids, the same shape.
        """
        table = np.array([self._id_by_token[s] for s in language.symbols])
        return table[sentences]

    def encode_pairs(
        self, mapping: Mapping, sentences: np.ndarray
    ) -> np.ndarray:
        """Encodes sentence pairs ("instances"): `w w w w . v v v v |`.

        With a target tag they are `w w w w > C . v v v v |`.

        Args:
            mapping: mapping of the pairs.
            sentences: source sentences, shape (N, sentence_length).

        Returns:
            Token ids, shape (N, tokens per pair).
        """
        sources = self.ids(mapping.source, sentences)
        targets = self.ids(mapping.target, mapping.translate(sentences))
        between = self._between(mapping, sources)
        ends = self._column(self._id_by_token[END], sources)
        return self._with_spaces([sources, *between, targets, ends])

    def encode_queries(
        self, mapping: Mapping, sentences: np.ndarray
    ) -> np.ndarray:
        """Encodes questions: the source sentence and the separator after it.

        Args:
            mapping: mapping of the question; only its source language shows,
                and in a tag the target.
            sentences: source sentences, shape (N, sentence_length).

        Returns:
            Token ids, shape (N, tokens per query).
        """
        sources = self.ids(mapping.source, sentences)
        return self._with_spaces([sources, *self._between(mapping, sources)])

    def encode_answers(
        self, mapping: Mapping, sentences: np.ndarray
    ) -> np.ndarray:
        """Encodes the right answers to `encode_queries`.

        Args:
            mapping: mapping of the question.
            sentences: source sentences, shape (N, sentence_length).

        Returns:
            Token ids, shape (N, tokens per answer), without the end mark.
        """
        targets = self.ids(mapping.target, mapping.translate(sentences))
        return self._with_spaces([targets])

    def decode(self, ids: np.ndarray) -> str:
        """Returns token ids as text; an id without a token becomes "?"."""
        known = self.tokens
        text = "".join(known[i] if i < len(known) else "?" for i in ids)
        if self.kind == "characters":
            return text.replace(SPACE, " ").strip()
        return " ".join(known[i] if i < len(known) else "?" for i in ids)

    def _between(self, mapping: Mapping, like: np.ndarray) -> list[np.ndarray]:
        """Returns what stands between a sentence and its translation."""
        ids = [self._id_by_token[SEPARATOR]]
        if self.has_target_tag:
            mark = len(self._untagged)
            ids = [mark, mark + 1 + self.languages.index(mapping.target), *ids]
        return [self._column(i, like) for i in ids]

    def _column(self, token_id: int, like: np.ndarray) -> np.ndarray:
        return np.full((len(like), 1), token_id)

    def _with_spaces(self, parts: list[np.ndarray]) -> np.ndarray:
        words = np.concatenate(parts, axis=1)
        if self.kind == "words":
            return words.astype("int32")
        spaces = np.full_like(words, self._id_by_token[SPACE])
        pairs = np.stack([spaces, words], axis=-1)  # (N, words, 2)
        return pairs.reshape(len(words), 2 * words.shape[1]).astype("int32")


def tokens_per_word(kind: str) -> int:
    """Returns the tokens that one word or separator takes."""
    return 2 if kind == "characters" else 1


def words_between(has_target_tag: bool = False) -> int:
    """Returns the words, or marks, from a sentence to its translation."""
    return 3 if has_target_tag else 1


def tokens_per_query(
    mixture: Mixture, kind: str, has_target_tag: bool = False
) -> int:
    """Returns the tokens of a sentence and of what stands after it."""
    num_words = mixture.sentence_length + words_between(has_target_tag)
    return tokens_per_word(kind) * num_words


def tokens_per_pair(
    mixture: Mixture, kind: str, has_target_tag: bool = False
) -> int:
    """Returns the tokens of one sentence pair; 20 as published."""
    translation = tokens_per_word(kind) * (mixture.sentence_length + 1)
    return tokens_per_query(mixture, kind, has_target_tag) + translation


def vocabulary_size(
    mixture: Mixture, kind: str, has_target_tag: bool = False
) -> int:
    """Returns the number of token ids a mixture needs, V."""
    num_languages = len(mixture.languages)
    num_symbols = num_languages * mixture.alphabet_size
    num_tags = num_languages * has_target_tag
    return Vocabulary(kind, (), has_target_tag).size + num_symbols + num_tags
