"""Honest comparisons from sums alone: intervals, whether groups are as drawn, how many people a comparison needs.

Proportions never use Wald's interval: it says "significant" where the others do not (540 of 9,000 against 45 of
1,000). Published values are in the tests. Distributions are scipy's, which is loaded where it is first needed, since
commands read this module too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
# The share of experiments with a real difference that people_needed wants to tell.
POWER: Final = 0.8
# Groups so unlike their plan are not chance: the threshold of Fabijan et al. (2019), KDD, for sample-ratio mismatches.
NOT_AS_DRAWN: Final = 0.001
# With fewer people expected in a group the tail of chi-square is off by more than that threshold can bear.
_FEW: Final = 100
# Beyond it both tails of the normal distribution are less than a double can hold.
_FARTHEST: Final = 38.0


@dataclass(frozen=True)
class Interval:
    """An estimate and the range that holds the truth in `CONFIDENCE` of such experiments."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the range lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Moments:
    """A quantity over n people, as the sums that the evaluation tables hold."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The average per person."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """The sample variance, dividing by n - 1."""
        return max(self.squares - self.total * self.total / self.n, 0.0) / (self.n - 1)


@dataclass(frozen=True)
class Paired:
    """A quantity over n people beside its value before the experiment, which explains part of its spread."""

    after: Moments
    before: Moments
    products: float

    @property
    def covariance(self) -> float:
        """The sample covariance, dividing by n - 1."""
        n = self.after.n
        return (self.products - self.after.total * self.before.total / n) / (n - 1)


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """A proportion with Wilson's score interval, right also for 0 of n and n of n. ValueError when n is 0."""
    return _wilson(successes, n, _normal(confidence))


def newcombe(successes: int, n: int, other_successes: int, other_n: int, confidence: float = CONFIDENCE) -> Interval:
    """The difference of two proportions, first minus other, with Newcombe's interval from two Wilson scores."""
    return _newcombe(successes, n, other_successes, other_n, _normal(confidence))


def newcombe_p(successes: int, n: int, other_successes: int, other_n: int) -> float:
    """How often chance alone gives a difference this large: one minus the widest confidence that excludes zero.

    So it is below 0.05 exactly where `newcombe` excludes zero. No closed form; found by halving, to 1e-9 of its z.
    """
    low, high = 0.0, _FARTHEST
    while high - low > 1e-9:
        z = (low + high) / 2
        excludes = _newcombe(successes, n, other_successes, other_n, z).excludes_zero
        low, high = (z, high) if excludes else (low, z)
    return math.erfc(low / math.sqrt(2))


def welch(treated: Moments, control: Moments, confidence: float = CONFIDENCE) -> Interval:
    """The difference of two averages with Welch's interval: spreads and sizes may differ.

    ValueError when a side has fewer than two people: a spread needs two.
    """
    return _welch(treated.mean, treated.variance, treated.n, control.mean, control.variance, control.n, confidence)


def welch_p(treated: Moments, control: Moments) -> float:
    """How often chance alone gives a difference this large, by Welch's test."""
    _check_sizes(treated.n, control.n)
    error, freedom = _error(treated.variance, treated.n, control.variance, control.n)
    difference = treated.mean - control.mean
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return _t_tail(abs(difference) / error, freedom)


def cuped(treated: Paired, control: Paired, confidence: float = CONFIDENCE) -> Interval:
    """Welch's difference after taking out what revenue before enrolment already explained; never biased by arm.

    The slope is pooled over both arms, so the adjustment only narrows the interval. Without any spread before
    enrolment this is `welch`.
    """
    _check_sizes(treated.after.n, control.after.n)
    spread = sum((side.after.n - 1) * side.before.variance for side in (treated, control))
    if spread <= 0:
        return welch(treated.after, control.after, confidence)
    slope = sum((side.after.n - 1) * side.covariance for side in (treated, control)) / spread
    centre = (treated.before.total + control.before.total) / (treated.before.n + control.before.n)

    def adjusted(side: Paired) -> tuple[float, float, int]:
        mean = side.after.mean - slope * (side.before.mean - centre)
        variance = side.after.variance - 2 * slope * side.covariance + slope * slope * side.before.variance
        return mean, max(variance, 0.0), side.after.n

    return _welch(*adjusted(treated), *adjusted(control), confidence)


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> float:
    """How often chance alone gives groups that differ so much from the shares they were drawn by.

    Below `NOT_AS_DRAWN` something is wrong with the groups, and no comparison of them means anything (Kohavi, Tang, Xu
    (2020), Trustworthy Online Controlled Experiments, chapter 21). Pearson's chi-square; for two groups the exact
    binomial test, both tails twice the smaller one, while few people are expected in one of them. ValueError for shares
    that are no shares.
    """
    if len(counts) != len(shares) or min(shares) < 0 or not math.isclose(sum(shares), 1):
        raise ValueError(f"{shares} are no shares of {len(counts)} groups")
    from scipy import special

    n = sum(counts)
    drawn = [(count, share * n) for count, share in zip(counts, shares, strict=True)]
    if any(count for count, expected in drawn if not expected):
        return 0.0
    if len(counts) == 2 and min(expected for _, expected in drawn) < _FEW:
        count, share = counts[0], shares[0]
        fewer, more = special.bdtr(count, n, share), 1.0 if count == 0 else special.bdtrc(count - 1, n, share)
        return min(1.0, 2 * float(min(fewer, more)))
    distance = sum((count - expected) ** 2 / expected for count, expected in drawn if expected)
    return float(special.chdtrc(sum(expected > 0 for _, expected in drawn) - 1, distance))


def people_needed(
    successes: int,
    n: int,
    other_successes: int,
    other_n: int,
    *,
    least: float = 0.0,
    power: float = POWER,
    confidence: float = CONFIDENCE,
) -> int:
    """How many more people, over both groups at today's ratio, until the difference seen is told with this power.

    `least` stands in for a difference that is smaller. Fleiss, Tytun, Ury (1980), Biometrics 36, 343-346, without the
    continuity correction. ValueError when there is neither a difference nor a least one.
    """
    _check_counts(successes, n)
    _check_counts(other_successes, other_n)
    one, two = successes / n, other_successes / other_n
    total = n + other_n
    share, other_share = n / total, other_n / total
    if abs(one - two) < least:
        two = (successes + other_successes) / total
        one = two + least if two + least <= 1 else two - least
    if one == two:
        raise ValueError("no number of people tells a difference of nothing")
    middle = share * one + other_share * two
    chance = _normal(confidence) * math.sqrt(middle * (1 - middle) / (share * other_share))
    certain = NormalDist().inv_cdf(power) * math.sqrt(one * (1 - one) / share + two * (1 - two) / other_share)
    return max(math.ceil(((chance + certain) / (one - two)) ** 2) - total, 0)


def benjamini_hochberg(p_values: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Which of many comparisons tell something, so that of those said to only this share is false on average.

    Benjamini, Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300; in the order given.
    """
    if not p_values:
        return []
    from scipy import stats

    return [bool(adjusted <= rate) for adjusted in stats.false_discovery_control(list(p_values))]


def _welch(
    mean: float, variance: float, n: int, other_mean: float, other_variance: float, other_n: int, confidence: float
) -> Interval:
    _check_sizes(n, other_n)
    error, freedom = _error(variance, n, other_variance, other_n)
    difference = mean - other_mean
    half = 0.0 if error == 0 else _t_quantile((1 + confidence) / 2, freedom) * error
    return Interval(difference, difference - half, difference + half)


def _error(variance: float, n: int, other_variance: float, other_n: int) -> tuple[float, float]:
    """Standard error of the difference and Welch-Satterthwaite's degrees of freedom."""
    one, two = variance / n, other_variance / other_n
    if one + two == 0:
        return 0.0, 1.0
    return math.sqrt(one + two), (one + two) ** 2 / (one * one / (n - 1) + two * two / (other_n - 1))


def _t_tail(t: float, freedom: float) -> float:
    """Both tails of Student's t beyond t."""
    from scipy import special

    return 2 * float(special.stdtr(freedom, -t))


def _t_quantile(probability: float, freedom: float) -> float:
    """The t below which a share of Student's distribution lies."""
    from scipy import special

    return float(special.stdtrit(freedom, probability))


def _normal(confidence: float) -> float:
    """How many standard errors an interval reaches to either side."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _wilson(successes: int, n: int, z: float) -> Interval:
    _check_counts(successes, n)
    share, square = successes / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return Interval(
        share, 0.0 if successes == 0 else max(centre - half, 0.0), 1.0 if successes == n else min(centre + half, 1.0)
    )


def _newcombe(successes: int, n: int, other_successes: int, other_n: int, z: float) -> Interval:
    one, two = _wilson(successes, n, z), _wilson(other_successes, other_n, z)
    difference = one.estimate - two.estimate
    return Interval(
        difference,
        difference - math.hypot(one.estimate - one.low, two.high - two.estimate),
        difference + math.hypot(one.high - one.estimate, two.estimate - two.low),
    )


def _check_counts(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")


def _check_sizes(*sizes: int) -> None:
    if min(sizes) < 2:
        raise ValueError("an interval needs at least two people on each side")
