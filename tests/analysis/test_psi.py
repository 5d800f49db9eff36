"""Tests for tiny_gpt/analysis/psi.py."""

import itertools
import math

import numpy as np
import pytest

from tiny_gpt.analysis.psi import Psi

X = [4.0, 8.0, 16.0, 32.0, 64.0]


def by_two():
    """Two thresholds and two slopes, written out."""
    return Psi([4.0, 8.0], thresholds=[4.0, 8.0], slopes=[1.0, 2.0])


def share(x, threshold, slope, lapse=0.0):
    """P(success): x^s / (x^s + t^s)."""
    return (1 - lapse) * x**slope / (x**slope + threshold**slope)


def entropy(p):
    p = np.asarray(p, float).ravel()
    p = p[p > 0]
    return -float(np.sum(p * np.log(p)))


def test_the_posterior_by_enumeration():
    # A success at 4 has P = 1/2 at threshold 4, and 1/3 and 1/5 at 8; a
    # failure at 8 has 1/3 and 1/5 at threshold 4, and 1/2 at 8.
    psi = by_two()
    psi.update(4.0, True)
    odds = np.array([[1 / 2, 1 / 2], [1 / 3, 1 / 5]])
    np.testing.assert_allclose(psi.posterior, odds / odds.sum(), rtol=1e-12)
    psi.update(8.0, False)
    odds *= [[1 / 3, 1 / 5], [1 / 2, 1 / 2]]
    np.testing.assert_allclose(psi.posterior, odds / odds.sum(), rtol=1e-12)


def test_the_order_of_outcomes_does_not_matter():
    outcomes = [(4.0, False), (8.0, True), (16.0, True), (8.0, False)]
    one, other = Psi(X), Psi(X)
    for x, is_success in outcomes:
        one.update(x, is_success)
    for x, is_success in reversed(outcomes):
        other.update(x, is_success)
    np.testing.assert_allclose(one.posterior, other.posterior, rtol=1e-12)


def test_the_expected_entropy_by_hand():
    # At 4: success 1/2, 1/2, 1/3, 1/5 over the four equal points.
    psi = by_two()
    for place, x in enumerate([4.0, 8.0]):
        p = np.array([share(x, t, s) for t in (4, 8) for s in (1, 2)])
        success, failure = p.sum() / 4, (1 - p).sum() / 4
        expected = success * entropy(p / p.sum())
        expected += failure * entropy((1 - p) / (1 - p).sum())
        found = psi.expected_entropies()[place]
        assert found == pytest.approx(expected, rel=1e-12)
    # An outcome tells something: less than ln 4.
    assert psi.expected_entropies().max() < math.log(4)


def test_lapses_are_summed_out():
    psi = Psi([4.0, 8.0], [4.0, 8.0], [1.0, 2.0], lapses=[0.0, 0.5])
    psi.update(8.0, False)
    odds = np.zeros((2, 2))
    for (i, t), (j, s), lapse in itertools.product(
        enumerate((4, 8)), enumerate((1, 2)), (0.0, 0.5)
    ):
        odds[i, j] += 1 - share(8.0, t, s, lapse)
    np.testing.assert_allclose(psi.posterior, odds / odds.sum(), rtol=1e-12)
    # The entropy is of threshold and slope, not of the lapse rate.
    full = Psi([4.0, 8.0], [4.0, 8.0], [1.0], lapses=[0.0, 0.9])
    assert full.expected_entropies().max() < math.log(2)


def test_a_lapse_is_no_evidence_of_a_flat_curve():
    outcomes = [(x, True) for x in X[1:] * 5] + [(4.0, False)] * 5
    means = []
    for lapses in ([0.0], [0.0, 0.05, 0.1]):
        psi = Psi(X, lapses=lapses)
        for x, is_success in (*outcomes, (64.0, False)):
            psi.update(x, is_success)
        means.append(psi.posterior.sum(axis=0) @ np.log(psi.slopes))
    assert means[1] > means[0] + 0.5


def next_of(psi, among=None):
    """Returns the x to ask for next."""
    left = psi.samples.tolist() if among is None else among
    return psi.plan(1, dict.fromkeys(left, 1))[0]


def test_the_next_sample_has_the_least_expected_entropy():
    psi = Psi(X)
    for _ in range(3):
        psi.update(8.0, False)
        psi.update(32.0, True)
    assert next_of(psi) == X[int(np.argmin(psi.expected_entropies()))]
    assert next_of(psi) == 16.0
    assert next_of(psi, [4.0, 64.0]) in (4.0, 64.0)
    assert next_of(psi, [4.0]) == 4.0
    # Nothing is learned without a difference: the first of equals.
    assert next_of(Psi(X, [8.0], [1.0])) == 4.0


def test_a_plan_looks_at_all_outcomes_of_those_before():
    # Two steps by brute force: both outcomes at the first, both at each x.
    samples, thresholds, slopes = [4.0, 8.0, 16.0], [3.0, 6, 11, 21], [9.0]
    psi = Psi(samples, thresholds, slopes)
    first, second = psi.plan(2, dict.fromkeys(samples, 2))
    assert first == next_of(psi)
    expected = []
    for x in samples:
        total = 0.0
        for outcomes in itertools.product((True, False), repeat=2):
            p = psi.posterior[:, 0].copy()
            for at, is_success in zip((first, x), outcomes, strict=True):
                success = np.array([share(at, t, 9.0) for t in thresholds])
                p *= success if is_success else 1 - success
            total += p.sum() * entropy(p / p.sum())
        expected.append(total)
    assert second == samples[int(np.argmin(expected))]
    # Steep curves: the same question twice is worth less than another.
    assert second != first


def test_a_plan_keeps_to_what_is_left():
    assert Psi(X).plan(4, {8.0: 1, 16.0: 2}).count(8.0) == 1
    assert len(Psi(X).plan(4, {8.0: 1, 16.0: 2})) == 3


def test_the_threshold_is_the_mean_of_logarithms():
    psi = Psi([4.0, 8.0], thresholds=[4.0, 8.0, 16.0], slopes=[1.0])
    found = psi.threshold(0.95)
    assert found.value == pytest.approx(8.0, rel=1e-12)
    # The ends of the grid are open.
    assert (found.low, found.high) == (0.0, math.inf)
    # Each has 1/3: with tails of 0.35 only the middle is left.
    found = psi.threshold(0.3)
    assert (found.low, found.high) == (8.0, 8.0)


def test_a_threshold_can_lie_outside_the_samples():
    above, below = Psi(X), Psi(X)
    for x in X * 8:
        above.update(x, False)
        below.update(x, True)
    assert above.probability_outside()[1] > 0.95
    assert above.threshold().high == math.inf
    assert below.probability_outside()[0] > 0.95
    assert below.threshold().low == 0.0
    # Mirrored outcomes, mirrored posterior: 4 * 64 = 16^2.
    product = above.threshold().value * below.threshold().value
    assert product == pytest.approx(16.0**2, rel=1e-9)


@pytest.mark.parametrize("slope", [1.5, 4.0])
def test_simulated_thresholds_are_found_and_held(slope):
    # 40 rows of 30 runs: standard error 0.034 of a coverage of 0.95.
    rng, covers, errors = np.random.default_rng(0), [], []
    many = [2.0**i for i in range(2, 12)]
    for _ in range(40):
        threshold = math.exp(rng.uniform(math.log(8), math.log(1024)))
        psi = Psi(many)
        for _ in range(30):
            x = next_of(psi)
            psi.update(x, rng.random() < share(x, threshold, slope))
        found = psi.threshold()
        covers.append(found.low <= threshold <= found.high)
        errors.append(abs(math.log(found.value / threshold)))
    assert np.mean(covers) >= 0.95 - 4 * 0.034
    assert np.median(errors) < 0.3  # a step of the samples is 0.69


def test_it_knows_more_than_runs_spread_evenly():
    rng, widths = np.random.default_rng(1), {"psi": [], "even": []}
    many = [2.0**i for i in range(2, 12)]
    for _ in range(20):
        threshold = math.exp(rng.uniform(math.log(8), math.log(1024)))
        for name, found in widths.items():
            psi = Psi(many)
            for i in range(20):
                x = next_of(psi) if name == "psi" else many[i % 10]
                psi.update(x, rng.random() < share(x, threshold, 8))
            ends = psi.threshold()
            found.append(math.log(min(ends.high, 1e4) / max(ends.low, 1)))
    # About half as wide; the standard error of the ratio is some 0.06.
    assert np.mean(widths["psi"]) < 0.75 * np.mean(widths["even"])


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"samples": [4.0]}, "two or more"),
        ({"samples": [0.0, 4.0]}, "positive"),
        ({"samples": [8.0, 4.0]}, "increase"),
        ({"thresholds": [0.0]}, "`thresholds` and"),
        ({"thresholds": [8.0, 4.0]}, "thresholds rise"),
        ({"slopes": [-1.0]}, "`slopes` must"),
        ({"slopes": []}, "`slopes` must"),
        ({"lapses": [1.0]}, "lapses"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(options, rule):
    with pytest.raises(ValueError, match=rf"{rule}(.|\n)*Received: "):
        Psi(**{"samples": X, **options})


def test_only_samples_can_be_asked_for():
    psi = Psi(X)
    for refused in (
        lambda: psi.update(5.0, True),
        lambda: psi.plan(1, {5.0: 1}),
        lambda: psi.plan(1, {}),
        lambda: psi.plan(7, {4.0: 1}),
        lambda: psi.plan(1, {4.0: 0}),
        lambda: psi.threshold(1.0),
    ):
        with pytest.raises(ValueError, match="Received: "):
            refused()
