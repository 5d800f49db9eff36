"""The task of translation: mixture, mappings, tokenisation."""

import copy
import math
from dataclasses import dataclass, replace

import numpy as np

from tiny_gpt.analysis.baseline import memorisation_accuracy
from tiny_gpt.analysis.dictionary import dictionary_accuracy
from tiny_gpt.analysis.loss_floor import Packing, inferring_floor, told_floor
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.greedy import check_fits
from tiny_gpt.tasks.translation.data import TranslationData
from tiny_gpt.tasks.translation.languages import find_route, steps_of
from tiny_gpt.tasks.translation.mixture import MOST_SENTENCES, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.task_checks import (
    check_alike,
    check_flag,
    check_packing,
    check_pivots,
)
from tiny_gpt.tasks.translation.vocabulary import (
    tokens_per_answer,
    tokens_per_pair,
    tokens_per_query,
    tokens_per_word,
    vocabulary_size,
)
from tiny_gpt.tasks.translation.windows import tokens_per_window

# Of a word: one of the target language's, all equally likely.
CHANCE_LABEL = "chance, target language known"


@dataclass(frozen=True)
class Translation:
    """Word by word translation between invented languages (`Task`).

    Attributes:
        mixture: languages and sentence pairs.
        eval_mappings: mappings of the questions, e.g. ("A->B", "B->C",
            "A->C"). The chain "A->B->C" asks `a a a a .`, and the words in C
            of the answer `b b b b . c c c c` are scored.
        tokens: tokenisation, "characters" or "words" (`Vocabulary`).
        pretraining: mixture of the pre-training epochs; it differs from
            `mixture` only in the counts of its components. None for no
            pre-training.
        pivots: two steps asked one after the other, e.g. "A->B->C". Their
            rows have this name, so that no chain can have it.
        rotates: whether the text is rotated by a random number of tokens
            before each epoch is cut into windows: the pairs keep their order,
            and the cut falls elsewhere. Losses by mapping and `floors` are
            those of the text as it is cut without a rotation.
        has_target_tag: whether each question names the language asked for,
            `w w w w > C . v v v v |`, so that it is never ambiguous; not
            published. 2 demonstrations need a `sequence_length` of 34 with
            sentences of 4 words and tokens "words".
        window_packing: how windows hold the text. "stream" cuts it every
            T + 1 tokens, as published (`cut_windows`). "pairs" is not
            published: each window has as many whole pairs as fit, and padding
            on the right, which is not scored (`pack_pairs`).
        scored: targets in the loss. "all", as published; "answers", the words
            of each answer; or "last_answer", those of the last pair of each
            full window. The last two need windows of whole pairs.

    Raises:
        ValueError: if a mapping does not follow from the given ones, a pivot
            does not name three languages or is a chain's name, the mixtures
            are not alike, `rotates` or `has_target_tag` is not a bool, chains
            are to name their target, `window_packing` or `scored` is unknown,
            answers alone are scored in a stream, or windows of whole pairs
            are to be rotated or hold pairs of several lengths.
    """

    mixture: Mixture
    eval_mappings: tuple[str, ...]
    tokens: str = "characters"
    pretraining: Mixture | None = None
    pivots: tuple[str, ...] = ()
    rotates: bool = False
    has_target_tag: bool = False
    window_packing: str = "stream"
    scored: str = "all"

    def __post_init__(self):
        for label in (*self.eval_mappings, *self.pivots):
            for step in steps_of(label):
                find_route(step, self.mixture.given)
        read = {component.mapping for component in self.mixture.components}
        labels = read.union(self.eval_mappings)
        check_pivots(self.pivots, labels)
        if self.pretraining is not None:
            check_alike(self.pretraining, self.mixture)
        for name in ("rotates", "has_target_tag"):
            check_flag(name, getattr(self, name))
        chains = sorted(label for label in labels if len(steps_of(label)) > 1)
        if self.has_target_tag and chains:
            raise ValueError(
                "A target tag tells a question's mapping, and that of a chain "
                f"would be that of its first step. Received: {chains}"
            )
        packing = self.window_packing, self.scored
        check_packing(*packing, self.rotates, self.mixture.together, chains)

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, V."""
        return vocabulary_size(self.mixture, self.tokens, self.has_target_tag)

    @property
    def answer_length(self) -> int:
        """Tokens of a translated sentence, or of a chain's longest answer."""
        return tokens_per_answer(*self._form, self._num_steps)

    @property
    def has_unscored_targets(self) -> bool:
        """Whether the loss leaves targets out: padding, or more (`Task`)."""
        return self.window_packing == "pairs"

    @property
    def _form(self) -> tuple[Mixture, str, bool]:
        """What lengths depend on."""
        return self.mixture, self.tokens, self.has_target_tag

    @property
    def _num_steps(self) -> int:
        """Steps of the longest question: 1 without a chain."""
        return max(map(len, map(steps_of, self.eval_mappings)), default=1)

    @property
    def read_mappings(self) -> tuple[str, ...]:
        """Mappings of the pairs in the stream, in corpus order."""
        parts = self.mixture.components
        return tuple(c.mapping for c in parts if c.num_shown)

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks that prompts and answers fit the window, see `Task`."""
        self._tokens_per_window(sequence_length)
        num_sentences = self.mixture.num_sentences
        if evaluation.exact_demonstrations and num_sentences > MOST_SENTENCES:
            raise ValueError(
                "The exact evaluation asks every sentence, at most "
                f"{MOST_SENTENCES}; leave `exact_demonstrations` empty. "
                f"Received: {num_sentences} sentences"
            )
        numbers = list(evaluation.exact_demonstrations)
        if evaluation.decoding != "published":
            numbers.append(evaluation.num_demonstrations)
        for number in numbers:
            num_prompt = number * tokens_per_pair(*self._form, self._num_steps)
            num_prompt += tokens_per_query(*self._form)
            check_fits(num_prompt, self.answer_length, sequence_length)

    def _mixtures(self) -> list[Mixture]:
        """Returns the mixture of each phase."""
        first = [] if self.pretraining is None else [self.pretraining]
        return [*first, self.mixture]

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns windows per epoch of each phase, see `Task`."""
        num_tokens = [
            sum(
                c.num_shown
                * tokens_per_pair(*self._form, len(steps_of(c.mapping)))
                for c in mixture.components
            )
            for mixture in self._mixtures()
        ]
        in_window = self._tokens_per_window(sequence_length)
        return tuple(math.ceil(n / in_window) for n in num_tokens)

    def _tokens_per_window(self, sequence_length: int) -> int:
        num_tokens = tokens_per_pair(*self._form)
        return tokens_per_window(
            self.window_packing, sequence_length, num_tokens
        )

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> list[TranslationData]:
        """Draws the stream, after that of the pre-training, see `Task`.

        Both have the same languages. Sentences of the pre-training count as
        seen in the stream that follows.
        """
        streams = [
            build_stream(
                mixture,
                self.tokens,
                sequence_length,
                copy.deepcopy(rng),
                self.has_target_tag,
                self.window_packing,
            )
            for mixture in self._mixtures()
        ]
        sentences = {
            label: np.concatenate([s.sentences[label] for s in streams])
            for label in streams[0].sentences
        }
        streams[-1] = replace(streams[-1], sentences=sentences)
        return [
            TranslationData(
                stream,
                self.eval_mappings,
                self.pivots,
                self.rotates,
                self.scored,
            )
            for stream in streams
        ]

    @property
    def _is_plain(self) -> bool:
        has_chain = any(len(steps_of(m)) > 1 for m in self.read_mappings)
        is_cut = self.window_packing == "stream"
        together = self.mixture.together
        return is_cut and not (self.has_target_tag or has_chain or together)

    def packing(self, sequence_length: int) -> tuple[Packing, dict[str, int]]:
        """Returns the layout of pairs in windows, and the pairs by mapping.

        Raises:
            ValueError: if the text is not plain pairs, see `floors`.
        """
        if not self._is_plain:
            raise ValueError(
                "A packing has pairs only, one after the other in a stream, "
                "without a target tag. Received: "
                f"has_target_tag={self.has_target_tag}, "
                f"together={self.mixture.together}, {self.read_mappings}, "
                f"window_packing={self.window_packing!r}"
            )
        packing = Packing(
            self.mixture.alphabet_size,
            self.mixture.sentence_length,
            sequence_length,
            tokens_per_word(self.tokens),
        )
        return packing, {
            c.mapping: c.num_shown for c in self.mixture.components
        }

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the floors "told" and "inferred".

        None are known yet with a target tag, with a chain in the text, where
        mappings stand together, or for windows of whole pairs.
        """
        if not self._is_plain:
            return {}
        packing, shown = self.packing(sequence_length)
        return {
            "told": told_floor(packing),
            "inferred": inferring_floor(packing, shown),
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns the baselines over every sentence, see `Task`.

        All know the words of the target language. "memoriser" recalls the
        sentences of the mapping in the text; "dictionary" recalls its words
        (`dictionary_accuracy`), held-out ones excepted, and knows that the
        mapping is one-to-one. Pairs of other mappings do not help, the
        opposite direction and chains included; a chain's own baselines are of
        its last words. The phase that shows more of the mapping counts: both
        draw the same first sentences.
        """
        labels, mixtures = self.eval_mappings, self._mixtures()
        chance = 1 / self.mixture.alphabet_size
        coverage = {
            label: max(mixture.coverage(label) for mixture in mixtures)
            for label in labels
        }
        return {
            "chance": dict.fromkeys(labels, chance),
            "memoriser": {
                label: memorisation_accuracy(coverage[label], chance)
                for label in labels
            },
            "dictionary": {
                label: max(_dictionary(mixture, label) for mixture in mixtures)
                for label in labels
            },
        }


def _dictionary(mixture: Mixture, label: str) -> float:
    shown = mixture.component(label)
    return dictionary_accuracy(
        mixture.alphabet_size,
        mixture.sentence_length,
        shown.num_pairs,
        shown.num_held_out,
        shown.is_distinct,
    )
