"""Prompts: A->C asked after demonstrations of other number, order and form.

All prompts ask about the same sentences, which training did not show in A->C,
with the same demonstrations. Fewer demonstrations are the last ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from experiments.measurements.context_words import next_word_probabilities
from experiments.measurements.linear_models import (
    draw_demonstrations,
    unseen_sentences,
)
from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.every_sentence import (
    Answers,
    readable_ids,
    score_answers,
)
from tiny_gpt.evaluation.greedy import check_fits
from tiny_gpt.tasks.translation.languages import END, SEPARATOR
from tiny_gpt.tasks.translation.stream import Stream
from tiny_gpt.training.finished import Trained

NAME = "prompts"
NEEDS = ("controls/sparse_a_to_c",)
QUESTION = "Does A->C depend on number, order, place or form of demonstrations?"

ASKED, OTHER = "A->C", "A->B"
NUM_SENTENCES = 256
RANDOM = 205  # beside the seed
# Tokens before the first demonstration, by the number of demonstrations. Two,
# question and answer leave two tokens of the quick preset's window of 30.
SHIFTS = {2: (1, 2), 1: (3, 5)}
WITHOUT_MARKS = "2_demonstrations_without_end_marks"
EXCHANGED = "2_demonstrations_with_marks_exchanged"
METRICS = (
    "accuracy_aligned",
    "accuracy_teacher_forced",
    "accuracy_in_language",
)


def demonstrated(num: int) -> str:
    """Returns the name of a prompt of demonstrations of A->C alone."""
    return f"{num}_demonstrations"


def ordered(*labels: str) -> str:
    """Returns the name of a prompt of one demonstration of each mapping."""
    return "_then_".join(labels)


def shifted(num: int, shift: int) -> str:
    """Returns the name of a prompt that starts at a later position."""
    return f"{demonstrated(num)}_from_position_{shift}"


@dataclass(frozen=True)
class Sentences:
    """What the prompts are made of.

    Attributes:
        stream: languages and vocabulary.
        asked: source sentences of the questions, shape (N, k).
        shown: those of two demonstrations, shape (N, 2, k).
        before: that of the pair that ends before them, shape (N, k).
    """

    stream: Stream
    asked: np.ndarray
    shown: np.ndarray
    before: np.ndarray

    def prompts(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields name and token ids, (N, P), of each prompt."""
        for num in (2, 1, 0):
            yield demonstrated(num), self.encode((ASKED,) * num)
        # The last demonstration is nearest to the question.
        for labels in ((ASKED, OTHER), (OTHER, ASKED)):
            yield ordered(*labels), self.encode(labels)
        before = self._pairs(ASKED, self.before)
        for num, shifts in SHIFTS.items():
            own = self.encode((ASKED,) * num)
            for shift in shifts:
                parts = [before[:, -shift:], own]
                yield shifted(num, shift), np.concatenate(parts, axis=1)
        whole = self.encode((ASKED, ASKED))
        end, separator = map(
            self.stream.vocabulary.tokens.index, (END, SEPARATOR)
        )
        # Every row has its marks at the same places.
        yield WITHOUT_MARKS, whole[:, whole[0] != end]
        swapped = np.where(whole == separator, end, whole)
        yield EXCHANGED, np.where(whole == end, separator, swapped)

    def encode(self, labels: tuple[str, ...]) -> np.ndarray:
        """Returns demonstrations of these mappings, and the questions."""
        first = self.shown.shape[1] - len(labels)
        parts = [
            self._pairs(label, self.shown[:, first + i])
            for i, label in enumerate(labels)
        ]
        mapping = self.stream.mapping(ASKED)
        queries = self.stream.vocabulary.encode_queries(mapping, self.asked)
        return np.concatenate([*parts, queries], axis=1)

    def _pairs(self, label: str, sentences: np.ndarray) -> np.ndarray:
        vocabulary = self.stream.vocabulary
        return vocabulary.encode_pairs(self.stream.mapping(label), sentences)


def draw_sentences(
    stream: Stream, num_sentences: int, rng: np.random.Generator
) -> Sentences:
    """Draws questions that training did not show, and demonstrations.

    Raises:
        ValueError: if a word takes two tokens.
    """
    kind = stream.vocabulary.kind
    if stream.vocabulary.tokens_per_word != 1:
        raise ValueError(
            "Prompts are shifted by tokens of one word, kind 'words'. "
            f"Received: kind={kind!r}"
        )
    asked = unseen_sentences(stream, ASKED, num_sentences, rng)
    drawn = draw_demonstrations(stream, len(asked), 3, rng)
    return Sentences(stream, asked, drawn[:, 1:], drawn[:, 0])


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Asks for A->C after each prompt.

    The tier is "unseen_sentences". The metrics are greedy accuracy
    ("accuracy_aligned"), the same after right words ("..._teacher_forced"),
    and that among the words of C alone ("..._in_language").

    Args:
        trained: runs of `NEEDS`.
        seed: of the sentences.

    Returns:
        Rows (mapping, tier, prompt, metric, value).

    Raises:
        ValueError: if words have space marks, or a prompt does not fit the
            window.
    """
    run = trained[NEEDS[0]]
    stream = run.data.stream
    rng = np.random.default_rng([seed, RANDOM])
    sentences = draw_sentences(stream, NUM_SENTENCES, rng)
    mapping, vocabulary = stream.mapping(ASKED), stream.vocabulary
    target = vocabulary.encode_answers(mapping, sentences.asked)
    words = np.arange(stream.mixture.alphabet_size)
    candidates = vocabulary.ids(mapping.target, words)
    mask = np.ones(target.shape, bool)
    rows: list[Row] = []
    for name, tokens in sentences.prompts():
        scores = score_answers(answer(run, tokens, target), candidates, mask)
        rows += [
            (ASKED, "unseen_sentences", name, metric, scores[metric])
            for metric in METRICS
        ]
    return rows


def answer(run: Trained, prompts: np.ndarray, target: np.ndarray) -> Answers:
    """Answers prompts greedily, and after the right words.

    Prompts of all lengths share one compiled program.

    Args:
        run: the model.
        prompts: token ids, shape (N, P).
        target: right answers, shape (N, k).

    Raises:
        ValueError: if prompt and answer do not fit the window.
    """
    config, start, num = run.experiment.model, prompts.shape[1], target.shape[1]
    check_fits(start, num, config.sequence_length)
    tokens, greedy = prompts, []
    for _ in range(num):
        given = next_word_probabilities(run, tokens)
        greedy.append(given[:, -1].argmax(axis=-1))
        said = readable_ids(greedy[-1], config.vocabulary_size)
        tokens = np.concatenate([tokens, said[:, None]], axis=1)
    read = np.concatenate([prompts, target[:, :-1]], axis=1)
    forced = next_word_probabilities(run, read)[:, start - 1 :]
    return Answers(target, np.stack(greedy, axis=1), forced)
