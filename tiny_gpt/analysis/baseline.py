"""Baselines: scores of a model that only memorises (Sinha 2024, sec. 2.4)."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(
            f"`{name}` must lie in [0, 1]. Received: {name}={value}"
        )


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(
            f"`{name}` must be at least 1. Received: {name}={value}"
        )


def memorisation_accuracy(coverage: float, chance: float = 0.0) -> float:
    """Returns the expected accuracy of a model that only recalls.

    coverage + (1 - coverage) * chance. Sinha 2024, prop. 4 takes chance = 0.
    A model that knows the target alphabet, but not the mapping, still gets
    each symbol right with chance 1 / alphabet_size.

    Args:
        coverage: share of all sentences seen in training, in [0, 1].
        chance: expected accuracy on an unseen sentence, in [0, 1].

    Returns:
        Fraction of symbols right and in place, in [0, 1].

    Raises:
        ValueError: if an argument lies outside [0, 1].
    """
    _check_fraction("coverage", coverage)
    _check_fraction("chance", chance)
    return coverage + (1.0 - coverage) * chance


def memorisation_tail_bound(
    accuracy: float, baseline: float, num_test: int
) -> float:
    """Bounds the probability that memorising alone reaches an accuracy.

    min(1, 2 exp(-2 n t^2)) with t = accuracy - baseline: Hoeffding's
    inequality for the mean of n independent scores in [0, 1]
    (Sinha 2024, eq. 4; the factor 2 is the paper's two-sided form).

    Args:
        accuracy: observed mean accuracy, in [0, 1].
        baseline: accuracy expected from memorising, in [0, 1].
        num_test: test sentences, n.

    Returns:
        Upper bound on the probability, in [0, 1]. 1.0 is no evidence; every
        accuracy at or below the baseline gives it.

    Raises:
        ValueError: if `num_test` is below 1 or an accuracy outside [0, 1].
    """
    _check_fraction("accuracy", accuracy)
    _check_fraction("baseline", baseline)
    _check_count("num_test", num_test)
    excess = max(0.0, accuracy - baseline)
    return min(1.0, 2.0 * math.exp(-2.0 * num_test * excess**2))


def sentences_for_bound(
    accuracy: float, baseline: float, probability: float
) -> int:
    """Returns the test sentences from which Hoeffding's bound is small enough.

    ceil(ln(2 / p) / (2 t^2)), t = accuracy - baseline (Sinha 2024, eq. 4,
    solved for n).

    Args:
        accuracy: observed mean accuracy, in [0, 1].
        baseline: accuracy expected from memorising, in [0, 1].
        probability: the desired bound, in (0, 1].

    Returns:
        Smallest n for which `memorisation_tail_bound` is at most
        `probability`.

    Raises:
        ValueError: if an argument is out of range, or the accuracy does not
            exceed the baseline: then no number is enough.
    """
    _check_fraction("accuracy", accuracy)
    _check_fraction("baseline", baseline)
    if not 0.0 < probability <= 1.0 or accuracy <= baseline:
        raise ValueError(
            "`accuracy` must exceed `baseline`, and `probability` lie in "
            f"(0, 1]. Received: accuracy={accuracy}, baseline={baseline}, "
            f"probability={probability}"
        )
    excess = accuracy - baseline
    return max(1, math.ceil(math.log(2.0 / probability) / (2.0 * excess**2)))


def printed_baseline(num_pairs: int, num_sentences: int) -> float:
    """Returns the memorisation baseline as printed, x/|N|.

    Sinha 2024, prop. 4. It assumes that the x training pairs are distinct and
    far fewer than the |N| sentences. Otherwise it is not an accuracy: for the
    majority mappings it exceeds 1, with 1.49 at 2500 of 1680.

    Args:
        num_pairs: training pairs of the mapping, x.
        num_sentences: distinct sentences, |N|.

    Returns:
        The ratio, 0 or more and not limited to 1.

    Raises:
        ValueError: if `num_pairs` is negative or `num_sentences` below 1.
    """
    if num_pairs < 0 or num_sentences < 1:
        raise ValueError(
            "`num_pairs` must not be negative and `num_sentences` at least 1. "
            f"Received: num_pairs={num_pairs}, num_sentences={num_sentences}"
        )
    return num_pairs / num_sentences


def sentence_score_distribution(
    coverage: float, chance: float, num_words: int
) -> np.ndarray:
    """Returns how many words of a sentence a memoriser gets right.

    The memoriser recalls all words of a sentence seen in training. In any
    other sentence, each word is right with probability `chance`,
    independently: p(m) = coverage [m = num_words] + (1 - coverage)
    Binomial(m). The mean divided by `num_words` is
    `memorisation_accuracy(coverage, chance)`.

    Args:
        coverage: share of all sentences seen in training, in [0, 1].
        chance: expected accuracy on an unseen sentence, in [0, 1].
        num_words: words per sentence.

    Returns:
        Probabilities of 0 to `num_words` right words, shape (num_words + 1,).

    Raises:
        ValueError: if `num_words` is below 1 or a fraction outside [0, 1].
    """
    _check_fraction("coverage", coverage)
    _check_fraction("chance", chance)
    _check_count("num_words", num_words)
    probabilities = np.array(
        [
            (1.0 - coverage)
            * math.comb(num_words, m)
            * chance**m
            * (1.0 - chance) ** (num_words - m)
            for m in range(num_words + 1)
        ]
    )
    probabilities[-1] += coverage
    return probabilities


def memorisation_tail(
    accuracy: float,
    coverage: float,
    chance: float,
    num_words: int,
    num_test: int,
) -> float:
    """Returns the probability that memorising alone reaches an accuracy.

    This is P(mean score >= accuracy), exact. The `sentence_score_distribution`
    is convolved with itself, since sentences are independent and their words
    are not. Sinha 2024, eq. 4 bounds it by `memorisation_tail_bound`.

    Args:
        accuracy: observed mean accuracy, in [0, 1]. A mean score that falls
            short of it by at most 1e-6, a rounding error of float32, counts.
        coverage: share of all sentences seen in training, in [0, 1].
        chance: expected accuracy on an unseen sentence, in [0, 1].
        num_words: words per sentence.
        num_test: test sentences, n, drawn with replacement.

    Returns:
        Probability, in [0, 1].

    Raises:
        ValueError: if a count is below 1 or a fraction outside [0, 1].
    """
    _check_fraction("accuracy", accuracy)
    _check_count("num_test", num_test)
    one = sentence_score_distribution(coverage, chance, num_words)
    total = np.ones(1)
    for _ in range(num_test):
        total = np.convolve(total, one)
    fewest = max(0, math.ceil((accuracy - 1e-6) * num_words * num_test))
    return min(1.0, math.fsum(total[fewest:]))


class BayesAnswer(NamedTuple):
    """The Bayes predictor's answer to a question without demonstrations.

    Attributes:
        probability: probability that it gives to the first word of the asked
            mapping.
        greedy: probability that this word is its likeliest one: 1.0, 0.0, or
            1 / number tied.
    """

    probability: float
    greedy: float


def bayes_answer(
    num_pairs_by_mapping: Mapping[str, int], asked: str
) -> BayesAnswer:
    """Returns the Bayes predictor's answer to a question on its own.

    A question `w w w w .` shows the source language, not the target. Each
    mapping with this source therefore gets the share of its pairs. A model
    that knows every mapping and follows the mixture answers a rare one
    wrongly.

    Args:
        num_pairs_by_mapping: pairs of each mapping, by label, e.g.
            {"A->B": 2500, "A->C": 50}. A mapping left out has 0.
        asked: label of the mapping that counts as right.

    Returns:
        Probability and greedy score, both 0.0 if `asked` has no pairs.

    Raises:
        ValueError: if a number of pairs is negative, or a label is not like
            "A->B".
    """
    for label in (asked, *num_pairs_by_mapping):
        if not all(label.partition("->")):
            raise ValueError(
                "A mapping must be labelled like 'A->B'. "
                f"Received: label={label!r}"
            )
    if any(num_pairs < 0 for num_pairs in num_pairs_by_mapping.values()):
        raise ValueError(
            "Numbers of pairs must not be negative. "
            f"Received: num_pairs_by_mapping={dict(num_pairs_by_mapping)}"
        )
    source = asked.partition("->")[0]
    rivals = [
        num_pairs
        for label, num_pairs in num_pairs_by_mapping.items()
        if label.partition("->")[0] == source
    ]
    num_pairs = num_pairs_by_mapping.get(asked, 0)
    if num_pairs == 0:
        return BayesAnswer(0.0, 0.0)
    is_likeliest = num_pairs == max(rivals)
    greedy = 1.0 / rivals.count(num_pairs) if is_likeliest else 0.0
    return BayesAnswer(num_pairs / sum(rivals), greedy)
