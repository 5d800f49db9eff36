"""Sentences for questions about composition, asked in several languages.

Words of all languages have the number of their A word by the given mappings,
also if A->C is scrambled.
"""

from dataclasses import dataclass

import numpy as np

from experiments.measurements.pivot_words import (
    draw_shown,
    group_words,
    words_left,
)
from experiments.measurements.questions import Questions, ask
from tiny_gpt.tasks.translation.languages import split_label
from tiny_gpt.tasks.translation.stream import Stream, sample_sentences
from tiny_gpt.training.finished import Trained


@dataclass(frozen=True)
class Sentences:
    """Sentences and demonstrations, by number of the A word.

    Attributes:
        stream: languages and vocabulary.
        own: words in question, (B, k).
        other: for each a word that is not in its sentence, (B, k).
        shown: words of demonstrations, none of them held out, (B, n, k).
    """

    stream: Stream
    own: np.ndarray
    other: np.ndarray
    shown: np.ndarray

    @property
    def size(self) -> int:
        """Words of a language, W."""
        return self.stream.mixture.alphabet_size

    def ask(self, label: str, words: np.ndarray | None = None) -> Questions:
        """Asks for a mapping, about these sentences or others.

        Args:
            label: mapping, e.g. "B->C".
            words: numbers of A words, (B, k); `own` by default.
        """
        words = self.own if words is None else words
        sentences, shown = (
            self._in_source(label, x) for x in (words, self.shown)
        )
        return ask(self.stream, label, sentences, shown)

    def groups(self, words: np.ndarray) -> dict[str, np.ndarray]:
        """Tells which words A->C never showed, see `group_words`."""
        component = self.stream.mixture.component("A->C")
        return group_words(words, component.num_held_out)

    def _in_source(self, label: str, words: np.ndarray) -> np.ndarray:
        source, _ = split_label(label)
        if source == "A":
            return words
        return self.stream.composed(f"A->{source}").translate(words)


def draw_sentences(
    run: Trained, num_sentences: int, rng: np.random.Generator
) -> Sentences:
    """Draws sentences for the questions of a run.

    Args:
        run: the run.
        num_sentences: sentences, B.
        rng: source of the sentences.
    """
    stream = run.data.stream
    size, length = stream.mixture.alphabet_size, stream.mixture.sentence_length
    num_shown = run.experiment.evaluation.exact_demonstrations[0]
    num_held_out = stream.mixture.component("A->C").num_held_out
    own = sample_sentences(num_sentences, size, length, rng)
    other = words_left(own, size, rng)
    shown = draw_shown(
        num_sentences, num_shown, size, length, num_held_out, rng
    )
    return Sentences(stream, own, other, shown)
