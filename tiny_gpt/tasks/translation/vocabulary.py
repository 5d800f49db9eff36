"""The vocabulary: from sentences to token ids, and back to text."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, SOURCE
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

        With a target tag they are `w w w w > C . v v v v |`. A chain writes
        each translation: `w w w w . v v v v . u u u u |`.

        Args:
            mapping: mapping of the pairs.
            sentences: source sentences, shape (N, sentence_length).

        Returns:
            Token ids, shape (N, tokens per pair).
        """
        return self._with_spaces(self._words(mapping, sentences))

    def encode_queries(
        self, mapping: Mapping, sentences: np.ndarray
    ) -> np.ndarray:
        """Encodes questions: the source sentence and the separator after it.

        Args:
            mapping: mapping of the question; only its source language shows,
                and in a tag the (first) target.
            sentences: source sentences, shape (N, sentence_length).

        Returns:
            Token ids, shape (N, tokens per query).
        """
        words = self._words(mapping, sentences)
        return self._with_spaces(words[:, : self._words_of_query(sentences)])

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
        words = self._words(mapping, sentences)
        return self._with_spaces(words[:, self._words_of_query(sentences) : -1])

    def kinds_by_place(
        self, mapping: Mapping, sentence_length: int
    ) -> np.ndarray:
        """Returns the kind (`Windows.kinds`) of each token of a pair.

        `ANSWER` are the words of the last sentence: those of a chain's
        sentences on the way stand between.

        Args:
            mapping: mapping of the pair.
            sentence_length: words of a sentence.
        """
        parts = self._parts(mapping, np.zeros((1, sentence_length), int))
        kinds = [np.full(ids.shape[1], kind, "int8") for kind, ids in parts]
        return np.repeat(np.concatenate(kinds), self.tokens_per_word)

    def encode(self, text: str) -> np.ndarray:
        """Returns text as token ids, the inverse of `decode`.

        Args:
            text: words and separators, e.g. "bylp.qzrc|", spaces or none.

        Returns:
            Ids, shape (tokens,), with space marks if `kind` has them.

        Raises:
            ValueError: if a word belongs to no language.
        """
        ids: list[int] = []
        for word in "".join(text.split()):
            is_name = self.has_target_tag and ids[-1:] == [len(self._untagged)]
            ids.append(self._id_of(word, is_name))
        return self._with_spaces(np.array([ids], int))[0]

    def _id_of(self, word: str, is_name: bool) -> int:
        mark, first = len(self._untagged), self._id_by_token[SEPARATOR]
        if self.has_target_tag and (is_name or word == TAG):
            first, mark = mark, self.size
        known = self.tokens[first:mark]
        if word not in known:
            raise ValueError(
                f"A word must be one of {' '.join(known)}. Received: {word!r}"
            )
        return first + known.index(word)

    def decode(self, ids: np.ndarray) -> str:
        """Returns token ids as text; an id without a token becomes "?"."""
        known = self.tokens
        text = "".join(known[i] if i < len(known) else "?" for i in ids)
        if self.kind == "characters":
            return text.replace(SPACE, " ").strip()
        return " ".join(known[i] if i < len(known) else "?" for i in ids)

    def _parts(
        self, mapping: Mapping, sentences: np.ndarray
    ) -> list[tuple[int, np.ndarray]]:
        """Returns what pairs are written of, in order: kind and ids of each.

        This is the one place that knows the layout of a pair.
        """
        sources = self.ids(mapping.source, sentences)
        parts = [(SOURCE, sources)]
        for step in (*mapping.before, mapping):
            parts += [(BETWEEN, ids) for ids in self._between(step, sources)]
            words = self.ids(step.target, step.translate(sentences))
            parts.append((ANSWER if step is mapping else BETWEEN, words))
        ends = self._column(self._id_by_token[END], sources)
        return [*parts, (BETWEEN, ends)]

    def _words(self, mapping: Mapping, sentences: np.ndarray) -> np.ndarray:
        parts = [ids for _, ids in self._parts(mapping, sentences)]
        return np.concatenate(parts, axis=1)

    def _words_of_query(self, sentences: np.ndarray) -> int:
        return sentences.shape[1] + self.words_between

    def _between(self, mapping: Mapping, like: np.ndarray) -> list[np.ndarray]:
        """Returns what stands between a sentence and its translation."""
        ids = [self._id_by_token[SEPARATOR]]
        if self.has_target_tag:
            mark = len(self._untagged)
            ids = [mark, mark + 1 + self.languages.index(mapping.target), *ids]
        return [self._column(i, like) for i in ids]

    def _column(self, token_id: int, like: np.ndarray) -> np.ndarray:
        return np.full((len(like), 1), token_id)

    def _with_spaces(self, words: np.ndarray) -> np.ndarray:
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


def tokens_per_answer(
    mixture: Mixture,
    kind: str,
    has_target_tag: bool = False,
    num_steps: int = 1,
) -> int:
    """Returns the tokens of a right answer; a chain writes every step."""
    on_the_way = tokens_per_query(mixture, kind, has_target_tag)
    words = tokens_per_word(kind) * mixture.sentence_length
    return (num_steps - 1) * on_the_way + words


def tokens_per_pair(
    mixture: Mixture,
    kind: str,
    has_target_tag: bool = False,
    num_steps: int = 1,
) -> int:
    """Returns the tokens of one sentence pair; 20 as published."""
    query = tokens_per_query(mixture, kind, has_target_tag)
    answer = tokens_per_answer(mixture, kind, has_target_tag, num_steps)
    return query + answer + tokens_per_word(kind)


def vocabulary_size(
    mixture: Mixture, kind: str, has_target_tag: bool = False
) -> int:
    """Returns the number of token ids a mixture needs, V."""
    num_languages = len(mixture.languages)
    num_symbols = num_languages * mixture.alphabet_size
    num_tags = num_languages * has_target_tag
    return Vocabulary(kind, (), has_target_tag).size + num_symbols + num_tags
