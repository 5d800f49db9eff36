"""Contexts of a trained model, compared with the exact Bayes predictor.

A context is a mapping of the question's source language. Its weight is read
from next-word probabilities at an answer: the mass on the words of its target
language and, more finely, that on its right word. The tier of a row names the
run and the answer word, the prompt what was demonstrated before the question.
Earlier answer words are given, as right words of that mapping.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.measurements.context_words import (
    LEAST,
    AnswerWord,
    context_given_word,
    most_demonstrations,
    next_word_probabilities,
)
from tiny_gpt.analysis import contexts as theory
from tiny_gpt.analysis.bayes import WeightedMapping, bayes_log_probabilities
from tiny_gpt.analysis.loss_floor import (
    Packing,
    inferring_floor_by_mapping,
)
from tiny_gpt.evaluation.data import Row
from tiny_gpt.tasks.translation import languages
from tiny_gpt.tasks.translation.languages import (
    SEPARATOR,
    scramble,
    split_label,
)
from tiny_gpt.tasks.translation.stream import fresh_windows, sample_sentences
from tiny_gpt.training.finished import Trained

NAME = "contexts"
SPARSE, LONG = "controls/sparse_a_to_c", "theory/long_window"
COUNTS = {n: f"theory/count_{n}" for n in (0, 10, 25, 50, 100, 200, 400)}
NEEDS = (SPARSE, LONG, *COUNTS.values())
QUESTION = "Does the model answer as a mixture over mappings, as Bayes would?"

RARE, COMMON = "A->C", "A->B"
MIXED = ((RARE, COMMON), (COMMON, RARE))
FALSE_PAIR = f"1_false_pair_of_{RARE}"
NUM_QUESTIONS = 256
RANDOM = 201  # beside the seed


def demonstrated(num: int, label: str) -> str:
    """Returns the name of a prompt of demonstrations of one mapping."""
    return f"{num}_demonstrations_of_{label}"


def mixed(labels: Sequence[str]) -> str:
    """Returns the name of a prompt that shows one mapping, then another."""
    return "_then_".join(labels)


def tier_of(place: str, word: int) -> str:
    """Returns the tier of an answer word, counted from 1, of a run."""
    return f"{place.split('/')[1]}:word_{word}"


def draw_sentences(
    packing: Packing, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws demonstrations and questions, (N, most + 1, words)."""
    size, length = packing.alphabet_size, packing.sentence_length
    drawn = sample_sentences(NUM_QUESTIONS * (most + 1), size, length, rng)
    return drawn.reshape(NUM_QUESTIONS, most + 1, length)


@dataclass(frozen=True)
class Asked:
    """Questions after one kind of prompt.

    Attributes:
        name: of the prompt.
        answer: mapping of the right answers, theta* of equation 2.
        shown: mapping of each demonstration.
    """

    name: str
    answer: str
    shown: tuple[languages.Mapping, ...]


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Reads the contexts of trained models.

    Args:
        trained: the runs of `NEEDS`.
        seed: of the questions.

    Returns:
        Rows: posterior and masses, distance from Bayes, epsilon of equation 2
        in both readings, gaps of the printed sums, prior against counts. Those
        named "bayes_..." are exact and of the generator.

    Raises:
        ValueError: if words have space marks.
    """
    rng = np.random.default_rng([seed, RANDOM])
    runs = {place: RunContexts(place, trained[place]) for place in NEEDS}
    most = max(run.most for run in runs.values())
    length = runs[SPARSE].length
    sentences = draw_sentences(runs[SPARSE].packing, most, rng)
    right = runs[SPARSE].stream.mapping(RARE)
    false = Asked(FALSE_PAIR, RARE, (scramble(right, rng),))

    rows: list[Row] = []
    for place in (SPARSE, LONG):
        run = runs[place]
        asked = [
            run.asked(num, label)
            for label in (RARE, COMMON)
            for num in range(run.most + 1)
        ]
        if place == SPARSE:
            asked += [*(run.asked_mixed(labels) for labels in MIXED), false]
        for prompt in asked:
            rows += run.read(prompt, sentences, length)
        rows += run.excess_over_bayes(rng)
    for place in COUNTS.values():
        run = runs[place]
        for num in (0, run.most):
            rows += run.read(run.asked(num, RARE), sentences, 1)
        rows += run.shares()
    return rows + _prior(rows, runs)


def _prior(rows: list[Row], runs: Mapping[str, "RunContexts"]) -> list[Row]:
    """Fits the zero-demonstration mass of A->C to its training pairs."""
    bare = demonstrated(0, RARE)
    by_tier = {
        tier: value
        for mapping, tier, prompt, metric, value in rows
        if (mapping, prompt, metric) == (RARE, bare, "language_mass")
    }
    counts = [n for n in COUNTS if n]  # 0 has no logarithm
    masses = [by_tier[tier_of(COUNTS[n], 1)] for n in counts]
    masses = [min(max(mass, LEAST), 1 - 1e-7) for mass in masses]
    shown = [runs[COUNTS[n]].shown[RARE] for n in counts]
    fit = theory.fit_prior(masses, shown, runs[COUNTS[counts[0]]].shown[COMMON])
    return [
        (RARE, "counts", bare, "prior_slope", fit.slope),
        (RARE, "counts", bare, "prior_offset", fit.offset),
    ]


class RunContexts:
    """A run, its contexts, and the generator of its text."""

    def __init__(self, place: str, trained: Trained, label: str = RARE):
        self.place, self.trained = place, trained
        stream = self.stream = trained.data.stream
        self.packing, self.shown = trained.experiment.task.packing(
            trained.experiment.model.sequence_length
        )
        if self.packing.tokens_per_word != 1:
            raise ValueError(
                "Contexts are read word by word, without space marks. "
                f"Received: tokens={trained.experiment.task.tokens!r}"
            )
        self.size = self.packing.alphabet_size
        self.length = self.packing.sentence_length
        self.most = most_demonstrations(self.packing)
        vocabulary = stream.vocabulary
        self.first = vocabulary.tokens.index(SEPARATOR)  # word id 0
        source = split_label(label)[0]
        self.ids = {
            language.name: vocabulary.ids(language, np.arange(self.size))
            for language in vocabulary.languages
        }
        self.targets = {  # contexts, and the words of their target language
            label: self.ids[split_label(label)[1]]
            for label in self.shown
            if split_label(label)[0] == source
        }
        names = list(self.ids)
        self.generator = {
            label: WeightedMapping(
                num,
                names.index(split_label(label)[0]),
                names.index(split_label(label)[1]),
                stream.mapping(label).permutation,
            )
            for label, num in self.shown.items()
            if num
        }

    def asked(self, num: int, label: str) -> Asked:
        shown = (self.stream.mapping(label),) * num
        return Asked(demonstrated(num, label), label, shown)

    def asked_mixed(self, labels: Sequence[str]) -> Asked:
        shown = tuple(self.stream.mapping(label) for label in labels)
        return Asked(mixed(labels), RARE, shown)

    def read(
        self, asked: Asked, sentences: np.ndarray, num_words: int
    ) -> Iterator[Row]:
        """Yields the rows of a prompt, at its first answer words."""
        tokens, start = self.prompts(asked, sentences)
        given = next_word_probabilities(self.trained, tokens)
        posterior, queries = self.posterior(tokens), sentences[:, -1]
        right = self.right_words(queries)
        false = None
        if asked.name == FALSE_PAIR:
            mapping = asked.shown[0]
            false = mapping.translate(queries)
            false = self.stream.vocabulary.ids(mapping.target, false)
        for word in range(num_words):
            at = AnswerWord(
                self.targets,
                given[:, start - 1 + word],
                posterior[:, start + word],
                right[:, word],
                context_given_word(self.targets, self.shown, given.shape[-1]),
            )
            named = [*at.masses()]
            if word == 0:
                named += [*at.equations(asked.answer)]
            if false is not None:
                mass = theory.mass_on(at.probabilities, false[:, word, None])
                named.append((asked.answer, "false_word_mass", mass))
            tier = tier_of(self.place, word + 1)
            for label, metric, values in named:
                yield label, tier, asked.name, metric, float(np.mean(values))

    def prompts(
        self, asked: Asked, sentences: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """Returns prompts with right answers, and where these start."""
        vocabulary, queries = self.stream.vocabulary, sentences[:, -1]
        answer = self.stream.mapping(asked.answer)
        parts = [
            vocabulary.encode_pairs(mapping, sentences[:, i - 1])
            for i, mapping in enumerate(asked.shown, -len(asked.shown))
        ]
        parts.append(vocabulary.encode_queries(answer, queries))
        start = sum(part.shape[1] for part in parts)
        parts.append(vocabulary.encode_answers(answer, queries)[:, :-1])
        return np.concatenate(parts, axis=1), start

    def right_words(self, queries: np.ndarray) -> np.ndarray:
        """Returns the right answer in each context, (N, words, contexts)."""
        answers = [
            self.stream.vocabulary.ids(m.target, m.translate(queries))
            for m in map(self.stream.mapping, self.targets)
        ]
        return np.stack(answers, axis=-1)

    def posterior(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the Bayes posterior of each context, (N, P + 1, contexts)."""
        mappings = list(self.generator.values())
        nats = theory.context_log_likelihoods(
            tokens - self.first, mappings, self.packing
        )
        weights = [mapping.weight for mapping in mappings]
        known = theory.context_posterior(nats, weights)
        by_label = dict(
            zip(self.generator, np.moveaxis(known, -1, 0), strict=True)
        )
        # A mapping that was never shown has no weight.
        never = np.where(np.isnan(known[..., 0]), np.nan, 0.0)
        parts = [by_label.get(label, never) for label in self.targets]
        return np.stack(parts, axis=-1)

    def excess_over_bayes(self, rng: np.random.Generator) -> Iterator[Row]:
        """Yields the loss above Bayes's on fresh windows, by mapping."""
        tier = f"{self.place.split('/')[1]}:fresh_windows"
        floors = inferring_floor_by_mapping(self.packing, self.shown)
        mappings = list(self.generator.values())
        for label in self.generator:
            inputs, targets, _ = fresh_windows(
                self.stream, label, NUM_QUESTIONS, rng
            )
            given = next_word_probabilities(self.trained, inputs)
            given = np.take_along_axis(given, targets[..., None], axis=-1)
            words = np.concatenate([inputs[:, :1], targets], axis=1)
            best = bayes_log_probabilities(
                words - self.first, mappings, self.packing
            )
            nats = best[:, 1:] - np.log(np.maximum(given[..., 0], LEAST))
            mean = float(nats.mean())
            yield label, tier, "all", "excess_over_bayes", mean
            yield label, tier, "all", "bayes_loss", floors[label]

    def shares(self) -> Iterator[Row]:
        """Yields A->C's share of the pairs, and windows, that translate A."""
        tier, inputs = tier_of(self.place, 1), self.stream.inputs
        source, target = split_label(RARE)
        share = self.shown[RARE] / sum(self.shown[m] for m in self.targets)
        yield RARE, tier, "all", "share_of_pairs", share
        is_bare = np.isin(inputs[:, : self.length], self.ids[source])
        is_bare = is_bare.all(axis=1) & (inputs[:, self.length] == self.first)
        if is_bare.any():
            first = inputs[is_bare, self.length + 1]
            share = float(np.isin(first, self.ids[target]).mean())
            yield RARE, tier, "all", "share_of_windows", share
