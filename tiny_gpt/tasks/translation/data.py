"""The data of translation: the text and questions of one run (`Data`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tiny_gpt.evaluation.data import (
    ANSWER,
    NOT_SCORED,
    OTHERS,
    Row,
    Windows,
)
from tiny_gpt.evaluation.every_sentence import ExactEvaluator, Prompt
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.pivots import pivot_rows
from tiny_gpt.tasks.translation.prompts import exact_prompts, sample_prompts
from tiny_gpt.tasks.translation.stream import Stream, fresh_windows
from tiny_gpt.tasks.translation.tiers import exact_rows
from tiny_gpt.tasks.translation.vocabulary import PADDING_ID
from tiny_gpt.tasks.translation.windows import cut_windows


def rotate(
    inputs: np.ndarray, targets: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a text anew, after it was rotated by a random number of tokens.

    What stood before the cut follows the end. All numbers of tokens of the
    text, none included, are equally likely.

    Args:
        inputs: windows as from `cut_windows`, shape (N, T).
        targets: the same, one token later.
        rng: source of the number.

    Returns:
        Inputs and targets, of the same shapes.
    """
    rows = np.concatenate([inputs[:, :1], targets], axis=1)
    ids = rows[rows != PADDING_ID]  # a text has none of its own
    return cut_windows(
        np.roll(ids, -int(rng.integers(len(ids)))), inputs.shape[1]
    )


def kinds_of_words(
    stream: Stream, label: str, places: np.ndarray
) -> np.ndarray:
    """Returns the kind (`Windows.kinds`) of targets, given their places.

    Args:
        stream: length of sentences, and vocabulary.
        label: mapping of the pairs.
        places: place of each target in its pair, -1 outside, any shape.
    """
    kinds = stream.vocabulary.kinds_by_place(
        stream.mapping(label), stream.mixture.sentence_length
    )
    return np.append(kinds, np.int8(OTHERS))[places]  # -1 is the last


def scored_targets(stream: Stream, scored: str) -> np.ndarray:
    """Returns the targets of a stream, `NOT_SCORED` where the loss has none.

    All targets of a stream count, padding as well, as published. In windows
    of whole pairs padding does not count.

    Args:
        stream: the text.
        scored: see `Translation`. The last pair of a window is the one that
            ends where its pairs end: a window that is not full has none.

    Returns:
        Token ids, shape (N, T).
    """
    if stream.window_packing == "stream":
        return stream.targets
    label = stream.mixture.components[0].mapping  # all pairs are alike
    kinds = kinds_of_words(stream, label, stream.places)
    is_scored = kinds != OTHERS if scored == "all" else kinds == ANSWER
    if scored == "last_answer":
        num_tokens = 1 + stream.places.max()
        length = stream.targets.shape[1]
        end = length - length % num_tokens
        # The target of position t is token t + 1.
        is_scored &= np.arange(1, length + 1) >= end - num_tokens
    return np.where(is_scored, stream.targets, NOT_SCORED)


@dataclass(frozen=True)
class TranslationData:
    """A stream of text, and the questions about it.

    Attributes:
        stream: languages, vocabulary and windows.
        eval_mappings: mappings of the questions.
        pivots: two steps asked one after the other, e.g. "A->B->C".
        rotates: whether each epoch is cut from the rotated text, see
            `Translation`. The properties and `windows` are without it.
        scored: targets in the loss, see `Translation`.
    """

    stream: Stream
    eval_mappings: tuple[str, ...]
    pivots: tuple[str, ...] = ()
    rotates: bool = False
    scored: str = "all"

    @property
    def inputs(self) -> np.ndarray:
        """Windows, token ids, shape (N, T)."""
        return self.stream.inputs

    @cached_property
    def targets(self) -> np.ndarray:
        """The same, one token later; some are not scored, see `Data`."""
        return scored_targets(self.stream, self.scored)

    @property
    def tokens_per_word(self) -> int:
        """Tokens that one word takes: 2 with space marks."""
        return self.stream.vocabulary.tokens_per_word

    def recut(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Returns the windows of one epoch, see `CutAnew`."""
        if not self.rotates:
            return self.inputs, self.targets
        return rotate(self.inputs, self.targets, rng)

    def windows(self) -> dict[str, Windows]:
        """Returns the windows of each mapping in the stream, see `Data`."""
        stream, windows = self.stream, {}
        for index, component in enumerate(stream.mixture.components):
            if component.num_shown:
                belongs = stream.components == index
                rows = belongs.any(axis=1)
                places = np.where(belongs, stream.places, -1)[rows]
                windows[component.mapping] = Windows(
                    stream.inputs[rows],
                    stream.targets[rows],
                    kinds_of_words(stream, component.mapping, places),
                )
        return windows

    def fresh_windows(
        self, mapping: str, num_windows: int, rng: np.random.Generator
    ) -> Windows:
        """Draws windows of one mapping not in the stream, see `Data`."""
        inputs, targets, places = fresh_windows(
            self.stream, mapping, num_windows, rng
        )
        kinds = kinds_of_words(self.stream, mapping, places)
        return Windows(inputs, targets, kinds)

    def sample_questions(
        self,
        mapping: str,
        num_questions: int,
        num_demonstrations: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws sentences to translate, and right answers, see `Data`.

        The last sentence of an answer is scored: none on a chain's way.
        """
        questions, answers = sample_prompts(
            self.stream, mapping, num_questions, num_demonstrations, rng
        )
        num_words = self.stream.mixture.sentence_length
        answers[:, : -self.tokens_per_word * num_words] = NOT_SCORED
        return questions, answers

    def exact_rows(
        self,
        evaluator: ExactEvaluator,
        num_demonstrations: Sequence[int],
        is_asked_after_others: bool,
        rng: np.random.Generator,
    ) -> list[Row]:
        """Asks for every sentence of each mapping, see `tiers.exact_rows`."""
        asked = SentenceEvaluator(evaluator, self.stream)
        rows: list[Row] = []
        for label in self.eval_mappings:
            prompts = exact_prompts(
                label,
                self.eval_mappings,
                num_demonstrations,
                is_asked_after_others,
            )
            rows += exact_rows(asked, label, prompts, rng)
        for pivot in self.pivots:
            rows += pivot_rows(asked, pivot, Prompt(num_demonstrations[0]), rng)
        return rows
