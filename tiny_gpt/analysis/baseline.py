"""What a model that only memorises would score (Sinha 2024, sec. 2.4)."""

import math


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(
            f"`{name}` must lie in [0, 1]. Received: {name}={value}"
        )


def memorisation_accuracy(coverage: float, chance: float = 0.0) -> float:
    """Returns the expected accuracy of a model that only recalls.

    coverage + (1 - coverage) * chance. Sinha 2024, prop. 4 takes chance = 0;
    a model that has learned the target alphabet, but not the mapping, still
    gets each symbol right with chance 1 / alphabet_size.

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
        Upper bound on the probability, in [0, 1]; 1.0 is no evidence, which
        includes every accuracy at or below the baseline.

    Raises:
        ValueError: if `num_test` is below 1 or an accuracy outside [0, 1].
    """
    _check_fraction("accuracy", accuracy)
    _check_fraction("baseline", baseline)
    if num_test < 1:
        raise ValueError(
            f"`num_test` must be at least 1. Received: num_test={num_test}"
        )
    excess = max(0.0, accuracy - baseline)
    return min(1.0, 2.0 * math.exp(-2.0 * num_test * excess**2))
