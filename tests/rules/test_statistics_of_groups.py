"""Groups as drawn or not, people needed, p of proportions, many comparisons at once: against published values."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import pytest
from scipy import stats

from config.settings import CHECKOUT
from tasks.rules.statistics import (
    NOT_AS_DRAWN,
    Moments,
    benjamini_hochberg,
    newcombe,
    newcombe_p,
    people_needed,
    sample_ratio,
    welch,
    welch_p,
)

# Benjamini and Hochberg's own example of 1995.
THROMBOLYSIS = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
)  # fmt: skip


# ------------------------------------------------------------------------------------------ sample ratio


def test_kohavis_groups_that_look_alike_are_not_as_drawn():
    assert sample_ratio([821_588, 815_482], [0.5, 0.5]) == pytest.approx(1.8e-6, abs=5e-8)


def test_small_groups_are_judged_by_the_exact_test_as_tea_tasting_does():
    assert sample_ratio([53, 47], [0.5, 0.5]) == pytest.approx(0.6172994135892521)


@pytest.mark.parametrize(
    ("counts", "shares"),
    [((480, 520), (0.5, 0.5)), ((130, 1_170), (0.08, 0.92)), ((200, 310, 490), (0.2, 0.3, 0.5))],
)
def test_large_groups_are_judged_by_chi_square_as_scipy_has_it(counts, shares):
    truth = stats.chisquare(counts, [share * sum(counts) for share in shares]).pvalue

    assert sample_ratio(counts, shares) == pytest.approx(truth, rel=1e-9)


def test_two_held_out_of_ten_where_one_in_a_hundred_was_planned_is_early_not_wrong():
    assert stats.chisquare([2, 8], [0.1, 9.9]).pvalue < NOT_AS_DRAWN

    assert sample_ratio([2, 8], [0.01, 0.99]) > NOT_AS_DRAWN


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("people", [20, 300, 5_000])
def test_groups_that_chance_drew_are_rarely_called_wrong(share, people):
    """Over every count that chance can give, each with its probability."""
    chance = stats.binom(people, share)
    counts = range(int(chance.ppf(1e-9)), int(chance.isf(1e-9)) + 1)

    wrong = sum(
        chance.pmf(held) for held in counts if sample_ratio([held, people - held], [share, 1 - share]) < NOT_AS_DRAWN
    )

    assert wrong < 2 * NOT_AS_DRAWN


def test_somebody_held_out_where_nobody_should_be_is_wrong_for_certain():
    assert sample_ratio([1, 99], [0.0, 1.0]) == 0
    assert sample_ratio([0, 100], [0.0, 1.0]) == 1


@pytest.mark.parametrize("shares", [(0.5, 0.6), (1.2, -0.2), (1.0,)])
def test_what_is_no_share_is_refused(shares):
    with pytest.raises(ValueError, match="no shares"):
        sample_ratio([5, 5], shares)


# ----------------------------------------------------------------------------------- p of two proportions


@pytest.mark.parametrize(
    "counts", [(56, 70, 48, 80), (9, 10, 3, 10), (5, 56, 0, 29), (540, 9000, 45, 1000), (10, 10, 0, 20), (1, 90, 8, 70)]
)
def test_p_is_below_a_threshold_exactly_where_newcombes_interval_at_it_excludes_zero(counts):
    found = newcombe_p(*counts)

    assert newcombe(*counts, 1 - found * 1.001).excludes_zero
    assert not newcombe(*counts, 1 - found * 0.999).excludes_zero


def test_walds_trap_is_not_significant_and_close_to_the_pooled_test():
    found = newcombe_p(540, 9000, 45, 1000)

    assert found > 0.05
    assert found == pytest.approx(0.0552, abs=0.003)


def test_p_of_no_difference_is_one_and_of_an_enormous_one_nothing():
    assert newcombe_p(5, 10, 50, 100) == 1
    assert newcombe_p(0, 7, 0, 9) == 1
    assert newcombe_p(10**6, 10**6, 0, 10**6) < 1e-300


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_chance_alone_is_called_a_difference_one_time_in_twenty(rate):
    dice = random.Random(8)
    draws = 1_000

    called = sum(
        newcombe_p(_successes(dice, 400, rate), 400, _successes(dice, 150, rate), 150) < 0.05 for _ in range(draws)
    )

    assert called / draws == pytest.approx(0.05, abs=0.02)


# ------------------------------------------------------------------------------------------ people needed


@pytest.mark.parametrize(
    ("few", "power", "each"),
    [
        # R's own example: power.prop.test(p1 = .50, p2 = .75, power = .90) gives n = 76.7
        ((2, 4, 3, 4), 0.9, 76.7),
        # B. Markussen, University of Copenhagen, solution to exercise 2.5 of 2017, by power.prop.test, in whole people
        ((12, 40, 3, 40), 0.8, 46), ((4, 10, 1, 10), 0.8, 32), ((4, 8, 1, 8), 0.8, 23),
        ((12, 40, 3, 40), 0.9, 61), ((4, 10, 1, 10), 0.9, 42), ((4, 8, 1, 8), 0.9, 30),
    ],
)  # fmt: skip
def test_people_needed_are_the_published_ones_for_groups_of_one_size(few, power, each):
    people = few[1] + few[3]

    assert people + people_needed(*few, power=power) == pytest.approx(2 * each, abs=1)


def test_with_more_people_than_are_needed_none_are():
    assert people_needed(500, 1_000, 750, 1_000) == 0


@pytest.mark.parametrize("few", [(10, 100, 7, 100), (90, 900, 6, 100), (54, 900, 10, 100), (10, 200, 4, 20)])
def test_with_the_people_needed_four_of_five_such_experiments_tell(few):
    dice, draws = random.Random(3), 1_500
    (goals, n, other_goals, other), needed = few, people_needed(*few)
    share = n / (n + other)
    people, others = n + round(share * needed), other + round((1 - share) * needed)

    told = sum(
        newcombe_p(_about(dice, people, goals / n), people, _about(dice, others, other_goals / other), others) < 0.05
        for _ in range(draws)
    )

    assert needed > 0
    assert told / draws == pytest.approx(0.8, abs=0.05)


def test_a_least_difference_stands_in_for_a_smaller_one():
    seen = people_needed(100, 1_000, 99, 1_000)
    least = people_needed(100, 1_000, 99, 1_000, least=0.02)

    assert seen > 1_000_000
    assert 5_000 < least < 9_000
    assert people_needed(100, 1_000, 81, 1_000, least=0.02) < people_needed(100, 1_000, 81, 1_000)
    assert people_needed(100, 1_000, 60, 1_000, least=0.02) == people_needed(100, 1_000, 60, 1_000)
    assert people_needed(1_000, 1_000, 1_000, 1_000, least=0.1) == 0
    assert people_needed(5, 5, 5, 5, least=0.1) > 0


def test_no_number_of_people_tells_a_difference_of_nothing():
    with pytest.raises(ValueError, match="difference of nothing"):
        people_needed(5, 10, 10, 20)


# -------------------------------------------------------------------------------------- many comparisons


def test_benjamini_and_hochbergs_example_tells_four_of_fifteen():
    told = benjamini_hochberg(THROMBOLYSIS)

    assert told == [True] * 4 + [False] * 11
    assert sum(p <= 0.05 for p in THROMBOLYSIS) == 9


def test_the_order_given_is_kept_as_in_tea_tastings_example():
    assert benjamini_hochberg([0.005, 0.06, 0.007, 0.04, 0.01, 0.03]) == [True, False, True, True, True, True]


def test_one_comparison_is_its_own_p_and_none_is_nothing():
    assert benjamini_hochberg([0.049]) == [True]
    assert benjamini_hochberg([0.051]) == [False]
    assert benjamini_hochberg([]) == []


# ------------------------------------------------------------------------------------------------- welch


def test_welch_reproduces_tea_tastings_orders_per_user():
    """Orders of `make_users_data(n_users=100, seed=42)`, summed by variant; the answers are of its test_mean.py."""
    treated, control = Moments(47, 18, 30), Moments(53, 30, 58)

    found = welch(treated, control)

    assert found.estimate == pytest.approx(-0.18305901244480127)
    assert (found.low, found.high) == (pytest.approx(-0.5004359360326984), pytest.approx(0.13431791114309583))
    assert welch_p(treated, control) == pytest.approx(0.2551230546709908)


def test_reading_the_module_does_not_load_scipy():
    program = "import sys, tasks.rules.statistics as s; s.newcombe(1, 9, 2, 9); print('scipy' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def _successes(dice, n, rate):
    return sum(dice.random() < rate for _ in range(n))


def _about(dice, n, rate):
    """Successes of very many people, by the normal distribution."""
    return min(max(round(dice.gauss(n * rate, math.sqrt(n * rate * (1 - rate)))), 0), n)
