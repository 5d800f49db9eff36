"""Power: how often a rule finds the smallest effect of interest."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import optimize

from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence, MissingRunsError
from tiny_gpt.claims.measure import CONSTANT, MEDIAN, RATIO, SHARE, Measure
from tiny_gpt.report.schema import OBSERVATIONS

COLUMNS = ("family", "claim", "part", "outcome", "truth", "seeds", "power")


def simulate_power(
    claim: Claim,
    seen: Sequence[Evidence],
    num_seeds: int,
    num_samples: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Simulates how often the rules of a claim conclude what is true.

    Seeds are drawn with replacement from those that were seen, the same for
    all means of a claim that were seen alike. Their numbers are shifted and
    cut at the bounds so that their mean is the scenario's truth; those of a
    median are multiplied. Seeds of a
    share succeed with the scenario's probability, independently.

    Args:
        claim: its scenarios are simulated.
        seen: evidence of exploratory runs, each with its own seeds. A measure
            is read from all that have its runs.
        num_seeds: seeds of the confirmatory runs.
        num_samples: simulated studies.
        rng: source of randomness.

    Returns:
        One row per scenario, columns `COLUMNS`; the power is NaN if a measure
        has not been seen at all.
    """
    rows = []
    for scenario in claim.scenarios:
        is_seen = scenario.outcome in OBSERVATIONS
        rule = claim.observation if is_seen else claim.explanation
        compared = [
            m for m in claim.measures if rule and m.name in rule.measures
        ]
        power = _power(
            claim, scenario, compared, seen, num_seeds, num_samples, rng
        )
        truth = "; ".join(f"{k} = {v:g}" for k, v in scenario.truth.items())
        part = "observation" if is_seen else "explanation"
        rows.append(
            (
                *(claim.family.name, claim.name, part, scenario.outcome),
                *(truth, num_seeds, power),
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _power(claim, scenario, compared, seen, num_seeds, num_samples, rng):
    try:
        pools = {
            m.name: _pool(m, scenario, seen)
            for m in compared
            if m.kind not in (SHARE, CONSTANT)
        }
        chances = {
            m.name: _chance(m, scenario, seen)
            for m in compared
            if m.kind == SHARE
        }
        constants = {
            m.name: m.interval(m.values(seen[0]), claim.family.interval_level)
            for m in compared
            if m.kind == CONSTANT
        }
    except MissingRunsError:
        return math.nan
    is_observation = scenario.outcome in OBSERVATIONS
    rule = claim.observation if is_observation else claim.explanation
    hits = 0
    for _ in range(num_samples):
        drawn = rng.random(num_seeds)  # the same seeds for all means
        intervals = dict(constants)
        for m in compared:
            if m.kind == CONSTANT:
                continue
            if m.kind == SHARE:
                values = rng.random(num_seeds) < chances[m.name]
                successes = dataclasses.replace(m, above=0.5, below=None)
                found = dict(enumerate(values.astype(float)))
            else:
                pool = pools[m.name]
                values = pool[(drawn * len(pool)).astype(int)]
                successes, found = m, dict(enumerate(map(float, values)))
            intervals[m.name] = successes.interval(
                found, claim.family.interval_level
            )
        hits += rule.decide(intervals) == scenario.outcome
    return hits / num_samples


def _read(measure: Measure, seen: Sequence[Evidence]) -> list[BySeed]:
    """Returns the numbers of each evidence that has the runs of a measure.

    Raises:
        MissingRunsError: if none has them.
    """
    found, last = [], MissingRunsError("nothing was seen")
    for evidence in seen:
        try:
            found.append(measure.values(evidence))
        except MissingRunsError as error:
            last = error
    if not found:
        raise last
    return found


def _pool(
    measure: Measure, scenario: Scenario, seen: Sequence[Evidence]
) -> np.ndarray:
    """Returns numbers of seen seeds, shifted to the truth of a scenario.

    Those of a median, which is one of ratios, are multiplied instead.
    """
    values = np.array(
        [v for some in _read(measure, seen) for v in some.values()]
    )
    if measure.kind == MEDIAN:
        middle = np.median(values)
        return values * (scenario.truth.get(measure.name, middle) / middle)
    truth = scenario.truth.get(measure.name, float(values.mean()))
    if measure.kind == RATIO and measure.name in scenario.truth:
        truth = math.log(truth)
    return shifted(values, truth, measure.bounds)


def shifted(
    values: np.ndarray, truth: float, bounds: tuple[float, float]
) -> np.ndarray:
    """Returns values shifted, and cut at bounds, so that their mean is right.

    Args:
        values: seen numbers.
        truth: mean that they are to have; within the bounds.
        bounds: least and greatest possible value.
    """
    start = truth - values.mean()
    reach = float(np.ptp(values)) + abs(start) + 1.0

    def error(shift: float) -> float:
        return float(np.clip(values + shift, *bounds).mean() - truth)

    if error(start - reach) * error(start + reach) >= 0:
        return np.clip(values + start, *bounds)  # at an end of the range
    shift = optimize.brentq(error, start - reach, start + reach)
    return np.clip(values + shift, *bounds)


def _chance(
    measure: Measure, scenario: Scenario, seen: Sequence[Evidence]
) -> float:
    if measure.name in scenario.truth:
        return scenario.truth[measure.name]
    values = [v for some in _read(measure, seen) for v in some.values()]
    return float(np.mean([measure.is_success(v) for v in values]))
