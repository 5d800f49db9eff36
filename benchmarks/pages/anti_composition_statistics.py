"""Statistics of docs/anti_composition.md."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from tiny_gpt.analysis.statistics import Interval

LEVEL = 0.95
BLIND = 4.5  # mean rank of a guess among 8 words


def correlation(first: pd.Series, second: pd.Series) -> Interval:
    """Returns Pearson's r of two numbers over seeds, by Fisher's z (1915)."""
    both = pd.concat([first, second], axis=1, join="inner").to_numpy()
    r = float(np.corrcoef(both.T)[0, 1])
    half = stats.norm.ppf((1 + LEVEL) / 2) / math.sqrt(len(both) - 3)
    z = math.atanh(r)
    return Interval(r, math.tanh(z - half), math.tanh(z + half))


def at_blind_guess(rank: pd.Series, gap: pd.Series) -> Interval:
    """Returns the gap that a line through all seeds has at a blind guess."""
    both = pd.concat([rank - BLIND, gap], axis=1, join="inner").to_numpy()
    line = stats.linregress(*both.T)
    half = stats.t.ppf((1 + LEVEL) / 2, len(both) - 2) * line.intercept_stderr
    return Interval(
        line.intercept, line.intercept - half, line.intercept + half
    )


def leading_part(table: np.ndarray) -> np.ndarray:
    """Returns the part of a table that its largest singular value makes."""
    left, sizes, right = np.linalg.svd(table)
    return sizes[0] * np.outer(left[:, 0], right[0])
