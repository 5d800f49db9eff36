"""The data of Hangul: the text and questions of one run (`Data`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tiny_gpt.evaluation.data import NOT_SCORED, OTHERS, Row, Windows
from tiny_gpt.evaluation.every_sentence import (
    Answers,
    ExactEvaluator,
    Prompt,
    score_answers,
)
from tiny_gpt.tasks.hangul.syllables import PLACES
from tiny_gpt.tasks.hangul.vocabulary import (
    LENGTH,
    SPARSE,
    SYLLABIC,
    Vocabulary,
    kinds_of_pair,
)
from tiny_gpt.tasks.translation.prompts import exact_prompts
from tiny_gpt.tasks.translation.windows import pack_pairs

# Scores among the candidates of a place, not of the whole language.
BY_PLACE = ("rank", "log_probability_in_language", "accuracy_in_language")


@dataclass(frozen=True)
class HangulData:
    """Sentences of each mapping, and the questions about them.

    Attributes:
        vocabulary: tokens of the languages.
        sequence_length: tokens of a window, T.
        sentences: numbers of syllables, shape (pairs, 2), by mapping.
        shown: syllables from which the sentences of A->C are drawn.
    """

    vocabulary: Vocabulary
    sequence_length: int
    sentences: dict[str, np.ndarray]
    shown: np.ndarray

    tokens_per_word = 1

    @property
    def inputs(self) -> np.ndarray:
        """Windows, token ids, shape (N, T)."""
        return self._text[0]

    @property
    def targets(self) -> np.ndarray:
        """The same, one token later; padding is not scored, see `Data`."""
        return self._text[1]

    @cached_property
    def _text(self) -> tuple[np.ndarray, np.ndarray]:
        return self._join(self.windows())

    def _join(
        self, windows: dict[str, Windows]
    ) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = zip(
            *(
                (w.inputs, np.where(w.kinds == OTHERS, NOT_SCORED, w.targets))
                for w in windows.values()
            ),
            strict=True,
        )
        return np.concatenate(inputs), np.concatenate(targets)

    def recut(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Deals the pairs of each mapping to windows anew, see `CutAnew`."""
        return self._join(
            {
                label: self._pack(label, rng.permutation(sentences))
                for label, sentences in self.sentences.items()
            }
        )

    def windows(self) -> dict[str, Windows]:
        """Returns the windows of each mapping, as they are drawn."""
        return {m: self._pack(m, x) for m, x in self.sentences.items()}

    def _pack(self, label: str, sentences: np.ndarray) -> Windows:
        pairs = self.vocabulary.pairs(label, sentences).astype("int32")
        # Above 0, which is padding.
        kinds = np.tile(kinds_of_pair(label) - OTHERS, len(pairs))
        size = self.sequence_length, pairs.shape[1]
        inputs, targets = pack_pairs(pairs.reshape(-1), *size)
        kinds = pack_pairs(kinds, *size)[1] + OTHERS
        return Windows(inputs, targets, kinds.astype("int8"))

    def fresh_windows(
        self, mapping: str, num_windows: int, rng: np.random.Generator
    ) -> Windows:
        """Draws windows of one mapping, see `Data`; of A->C's syllables."""
        size = len(kinds_of_pair(mapping))
        num_pairs = num_windows * (self.sequence_length // size)
        return self._pack(mapping, self._draw(mapping, (num_pairs,), rng))

    def _draw(
        self, label: str, shape: tuple[int, ...], rng: np.random.Generator
    ) -> np.ndarray:
        """Draws sentences as the text has them, shape (*shape, 2)."""
        everything = np.arange(self.num_syllables)
        shown = self.shown if label == SPARSE else everything
        return rng.choice(shown, size=(*shape, LENGTH))

    @property
    def num_syllables(self) -> int:
        """Syllables of a block, n^3."""
        return self.vocabulary.num_jamo**3

    def sample_questions(
        self,
        mapping: str,
        num_questions: int,
        num_demonstrations: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws questions of all syllables, see `Data` and `_ask`."""
        shape = num_questions, LENGTH
        sentences = rng.integers(self.num_syllables, size=shape)
        prompt = Prompt(num_demonstrations)
        return self._ask(mapping, prompt, sentences, rng)

    def _ask(
        self,
        label: str,
        prompt: Prompt,
        sentences: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns prompts and right answers.

        Demonstrations are drawn as the text is: those of A->C never show a
        syllable that A->C held out.
        """
        shown = prompt.mapping or label
        shape = len(sentences), prompt.num_demonstrations
        demonstrations = self._draw(shown, shape, rng)
        parts = (
            self.vocabulary.pairs(shown, demonstrations).reshape(shape[0], -1),
            self.vocabulary.questions(label, sentences),
        )
        prompts = np.concatenate(parts, axis=1).astype("int32")
        answers = self.vocabulary.answers(label, sentences)
        return prompts, answers.astype("int32")

    def exact_rows(
        self,
        evaluator: ExactEvaluator,
        num_demonstrations: Sequence[int],
        is_asked_after_others: bool,
        rng: np.random.Generator,
    ) -> list[Row]:
        """Asks for every syllable of each mapping, see `Data`.

        There are too many sentences to ask for all. "all_sentences" are as
        many as syllables, drawn so that each syllable is first once, and
        second once; "unseen_sentences" and "unseen_words" are their parts.
        "seen_sentences" are as many, at most, of those that were read.
        """
        order = rng.permutation(self.num_syllables)
        every = np.stack([order, np.roll(order, 1)], axis=1)
        entropy = int(rng.integers(2**63))
        labels = tuple(self.sentences)
        rows: list[Row] = []
        for label in labels:
            again = np.random.default_rng(entropy)
            read = np.unique(self.sentences[label], axis=0)
            read = again.permutation(read)[: self.num_syllables]
            prompts = exact_prompts(
                label, labels, num_demonstrations, is_asked_after_others
            )
            for prompt in prompts:
                for tiers, sentences in (
                    (self._tiers(label, every), every),
                    ({"seen_sentences": np.ones_like(read, bool)}, read),
                ):
                    asked = self._ask(label, prompt, sentences, again)
                    answers = evaluator.answer(*asked)
                    rows += self._rows(label, prompt, sentences, answers, tiers)
        return rows

    def _tiers(
        self, label: str, sentences: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns syllables of each tier, shape (N, 2), see `TIERS`.

        A mapping that starts from jamo has no unseen words: its words are the
        jamo.
        """
        read = self.sentences[label]
        powers = self.num_syllables ** np.arange(LENGTH)
        is_seen = np.isin(sentences @ powers, read @ powers)[:, None]
        tiers = {
            "all_sentences": np.ones_like(sentences, bool),
            "unseen_sentences": np.broadcast_to(~is_seen, sentences.shape),
            "unseen_words": ~np.isin(sentences, read) & (label[0] in SYLLABIC),
        }
        return {name: mask for name, mask in tiers.items() if mask.any()}

    def _rows(
        self,
        label: str,
        prompt: Prompt,
        sentences: np.ndarray,
        answers: Answers,
        tiers: dict[str, np.ndarray],
    ) -> Iterable[Row]:
        """Scores the answers to sentences, tier by tier."""
        kinds = self._errors(label, sentences, answers)
        for tier, of_syllables in tiers.items():
            mask = np.repeat(of_syllables, len(PLACES), axis=1)
            values = self._score(label, answers, mask) | {
                f"error_{kind}": float(is_kind[mask].mean())
                for kind, is_kind in kinds.items()
            }
            for metric, value in values.items():
                yield label, tier, prompt.name, metric, value

    def _score(
        self, label: str, answers: Answers, mask: np.ndarray
    ) -> dict[str, float]:
        """Scores letters; `BY_PLACE` among those of the letter's place."""
        candidates = self.vocabulary.candidates(label[-1])
        values = score_answers(answers, candidates.reshape(-1), mask)
        parts = []
        for place, ids in enumerate(candidates):
            at = slice(place, None, len(PLACES))
            part = Answers(
                answers.target[:, at],
                answers.greedy[:, at],
                answers.probabilities[:, at],
            )
            parts.append(score_answers(part, ids, mask[:, at]))
        # All places have as many letters.
        means = {m: sum(p[m] for p in parts) / len(parts) for m in BY_PLACE}
        return values | means

    def _errors(
        self, label: str, sentences: np.ndarray, answers: Answers
    ) -> dict[str, np.ndarray]:
        """Classifies wrong letters of A->C, booleans of shape (N, 6).

        "composed_word" is C's own letter where A->C is scrambled,
        "pivot_word" the jamo; then other letters of C, and the rest.
        """
        if label != SPARSE:
            return {}
        left = answers.greedy != answers.target
        letters = self.vocabulary.candidates("C")
        tests = {
            "composed_word": answers.greedy
            == self.vocabulary.encode("C", sentences),
            "pivot_word": answers.greedy
            == self.vocabulary.encode("B", sentences),
            "other_target_word": np.isin(answers.greedy, letters),
            "other_language": np.ones_like(left),
        }
        kinds = {}
        for kind, test in tests.items():
            kinds[kind] = left & test
            left = left & ~test
        return kinds
