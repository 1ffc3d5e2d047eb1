"""The intervals against published values, and against scipy where it knows the same thing."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from tasks.rules.statistics import Moments, Paired, cuped, newcombe, welch, welch_p, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals_for_one_proportion(successes, n, low, high):
    found = wilson(successes, n)

    assert found.estimate == successes / n
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("one", "two", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1),
        ((10, 10), (0, 10), 0.6075, 1),
        ((540, 9000), (45, 1000), -0.0004, 0.0273),
    ],
)
def test_newcombe_gives_the_published_intervals_for_two_proportions(one, two, low, high):
    found = newcombe(*one, *two)

    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_welch_reproduces_growthbooks_two_sided_test():
    treated, control = Moments(3461, 2422.7, 134698.29), Moments(3407, 1396.87, 52377.9767)

    found = welch(treated, control)

    assert found.estimate == pytest.approx(0.29, abs=1e-5)
    assert (found.low, found.high) == (pytest.approx(0.04538, abs=1e-5), pytest.approx(0.53462, abs=1e-5))
    assert welch_p(treated, control) == pytest.approx(0.02016, abs=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_welch_agrees_with_scipy_on_any_two_samples(seed):
    dice = random.Random(seed)
    one = [dice.expovariate(0.1) for _ in range(dice.randint(2, 400))]
    two = [dice.gauss(9, 3) for _ in range(dice.randint(2, 400))]

    truth = stats.ttest_ind(one, two, equal_var=False)
    found = welch(_moments(one), _moments(two))
    low, high = truth.confidence_interval()

    assert (found.low, found.high) == (pytest.approx(low, rel=1e-7), pytest.approx(high, rel=1e-7))
    assert welch_p(_moments(one), _moments(two)) == pytest.approx(truth.pvalue, rel=1e-7, abs=1e-12)


def test_cuped_keeps_the_difference_and_narrows_the_interval_where_the_past_explains_the_present():
    dice = random.Random(4)
    past = [dice.expovariate(0.02) for _ in range(4000)]
    arms = [[], []]
    for before in past:
        arm = dice.random() < 0.5
        arms[arm].append((before, before * 0.8 + dice.gauss(0, 5) + 2 * arm))

    treated, control = _paired(arms[1]), _paired(arms[0])
    plain, narrow = welch(treated.after, control.after), cuped(treated, control)

    assert narrow.low < 2 < narrow.high
    assert narrow.high - narrow.low < (plain.high - plain.low) / 5


def test_cuped_equals_regression_on_the_centred_past():
    """The pooled within-arm slope is that of an analysis of covariance, computed here by hand."""
    one, two = [(1, 2), (2, 3), (4, 7)], [(1, 1), (3, 2), (5, 6)]
    slope = _products(one, two) / _squares(one, two)
    difference = (12 / 3 - 9 / 3) - slope * (7 / 3 - 9 / 3)

    assert cuped(_paired(one), _paired(two)).estimate == pytest.approx(difference)


def test_cuped_without_any_past_is_welch():
    one, two = _paired([(0, 1), (0, 2), (0, 5)]), _paired([(0, 3), (0, 4)])

    assert cuped(one, two) == welch(one.after, two.after)


def test_without_any_spread_the_interval_is_the_difference_itself():
    found = welch(Moments(5, 0, 0), Moments(9, 0, 0))

    assert (found.estimate, found.low, found.high) == (0, 0, 0)
    assert not found.excludes_zero


@pytest.mark.parametrize("ask", [lambda: wilson(0, 0), lambda: wilson(3, 2), lambda: newcombe(1, 2, 0, 0)])
def test_a_proportion_of_nobody_is_refused(ask):
    with pytest.raises(ValueError, match="no proportion"):
        ask()


def test_a_spread_needs_two_people_on_each_side():
    with pytest.raises(ValueError, match="two people"):
        welch_p(Moments(1, 3, 9), Moments(4, 4, 6))


def _moments(values):
    return Moments(len(values), math.fsum(values), math.fsum(value * value for value in values))


def _paired(pairs):
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Paired(_moments(after), _moments(before), math.fsum(p * a for p, a in pairs))


def _centred(pairs):
    n = len(pairs)
    before, after = sum(p for p, _ in pairs) / n, sum(a for _, a in pairs) / n
    return [(p - before, a - after) for p, a in pairs]


def _products(*arms):
    return sum(p * a for arm in arms for p, a in _centred(arm))


def _squares(*arms):
    return sum(p * p for arm in arms for p, _ in _centred(arm))
