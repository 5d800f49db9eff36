"""Pairs that a network needs, and their ratio to those of the GPT."""

import math

from experiments.claims.networks import REFERENCE
from experiments.networks import NAME, PAIRS
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import Values
from tiny_gpt.claims.values import LEARNED, crossing


def threshold_of(accuracies: list[float], threshold: float = LEARNED) -> float:
    """Returns the pairs at which accuracy first reaches a threshold.

    Args:
        accuracies: one for each of `PAIRS`.
        threshold: accuracy to reach.

    Returns:
        Pairs, linear in their logarithm between two of `PAIRS`. 0 if the
        smallest number is enough, inf if the largest is not.
    """
    if accuracies[0] >= threshold:
        return 0.0
    return math.exp(crossing([*map(math.log, PAIRS)], accuracies, threshold))


def pairs_needed(
    evidence: Evidence,
    network: str,
    threshold: float = LEARNED,
    study: str = NAME,
) -> BySeed:
    """Returns the threshold of each seed, see `threshold_of`.

    Args:
        evidence: frames of the runs.
        network: one of `networks.SAYS`.
        threshold: accuracy on words of unseen sentences.
        study: name of the experiment.

    Raises:
        MissingRunsError: if a number of pairs or a seed is missing.
    """
    curves = [evidence.final(f"{study}/{network}_{n}") for n in PAIRS]
    return {
        seed: threshold_of([curve[seed] for curve in curves], threshold)
        for seed in curves[0]
    }


def ratio(network: str, threshold: float = LEARNED) -> Values:
    """Returns the reader of thresholds over those of the GPT, by seed.

    If both lie beyond the same end of `PAIRS`, the ratio is NaN: unknown.
    """

    def values(evidence: Evidence) -> BySeed:
        own = pairs_needed(evidence, network, threshold)
        reference = pairs_needed(evidence, REFERENCE, threshold)
        return {seed: _divide(own[seed], reference[seed]) for seed in own}

    return values


def _divide(above: float, below: float) -> float:
    if above == below and above in (0.0, math.inf):
        return math.nan
    if below == 0.0:
        return math.inf
    return above / below
