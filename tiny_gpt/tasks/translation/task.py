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
from tiny_gpt.tasks.translation.languages import (
    find_route,
    names_in,
    steps_of,
)
from tiny_gpt.tasks.translation.mixture import MOST_SENTENCES, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.vocabulary import (
    tokens_per_answer,
    tokens_per_pair,
    tokens_per_query,
    tokens_per_word,
    vocabulary_size,
)

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

    Raises:
        ValueError: if a mapping does not follow from the given ones, a pivot
            does not name three languages or is a chain's name, the mixtures
            are not alike, `rotates` or `has_target_tag` is not a bool, or
            chains are to name their target.
    """

    mixture: Mixture
    eval_mappings: tuple[str, ...]
    tokens: str = "characters"
    pretraining: Mixture | None = None
    pivots: tuple[str, ...] = ()
    rotates: bool = False
    has_target_tag: bool = False

    def __post_init__(self):
        for label in (*self.eval_mappings, *self.pivots):
            for step in steps_of(label):
                find_route(step, self.mixture.given)
        read = {component.mapping for component in self.mixture.components}
        labels = read.union(self.eval_mappings)
        for pivot in self.pivots:
            names = names_in(pivot)
            if len(names) != 3 or len(set(names)) < 3:
                raise ValueError(
                    "A pivot names three different languages, 'X->Y->Z'. "
                    f"Received: {pivot!r}"
                )
            if pivot in labels:
                raise ValueError(
                    "A pivot is two questions, and a chain is one; their rows "
                    f"would have one name. Received: {pivot!r} as both"
                )
        if self.pretraining is not None:
            self._check_alike(self.pretraining)
        for name in ("rotates", "has_target_tag"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"`{name}` must be True or False. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        chains = sorted(label for label in labels if len(steps_of(label)) > 1)
        if self.has_target_tag and chains:
            raise ValueError(
                "A target tag tells a question's mapping, and that of a chain "
                f"would be that of its first step. Received: {chains}"
            )

    def _check_alike(self, first: Mixture) -> None:
        mappings = [
            [c.mapping for c in m.components] for m in (first, self.mixture)
        ]
        alike = replace(first, components=self.mixture.components)
        if mappings[0] != mappings[1] or alike != self.mixture:
            raise ValueError(
                "A pre-training mixture has the languages and the mappings of "
                "the mixture, in the same order, so that both are drawn "
                f"alike. Received: {first} before {self.mixture}"
            )

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, V."""
        return vocabulary_size(self.mixture, self.tokens, self.has_target_tag)

    @property
    def answer_length(self) -> int:
        """Tokens of a translated sentence, or of a chain's longest answer."""
        return tokens_per_answer(*self._form, self._num_steps)

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
        return tuple(math.ceil(n / (sequence_length + 1)) for n in num_tokens)

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
                stream, self.eval_mappings, self.pivots, self.rotates
            )
            for stream in streams
        ]

    @property
    def _is_plain(self) -> bool:
        has_chain = any(len(steps_of(m)) > 1 for m in self.read_mappings)
        return not (self.has_target_tag or has_chain or self.mixture.together)

    def packing(self, sequence_length: int) -> tuple[Packing, dict[str, int]]:
        """Returns the layout of pairs in windows, and the pairs by mapping.

        Raises:
            ValueError: if the text is not plain pairs, see `floors`.
        """
        if not self._is_plain:
            raise ValueError(
                "A packing has pairs only, one after the other, without a "
                f"target tag. Received: has_target_tag={self.has_target_tag}, "
                f"together={self.mixture.together}, {self.read_mappings}"
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

        None are known yet with a target tag, with a chain in the text, or
        where mappings stand together.
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
