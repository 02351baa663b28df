"""Scoring rules, compared with values computed by hand and with the properties of proper scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from epydrop_stages.outputs.quality.scoring_rules import (
    LEVELS,
    interval_score,
    is_covered,
    persistence,
    weighted_interval_score,
)

numbers = st.floats(-1e6, 1e6)
THREE = (0.25, 0.5, 0.75)


@pytest.mark.parametrize(
    ("observed", "score"), [(5.0, 4.0), (2.0, 4.0), (1.0, 4.0 + 2 / 0.5), (9.0, 4.0 + 2 / 0.5 * 3)]
)
def test_the_interval_score_is_the_width_plus_a_penalty(observed, score):
    """For a 50 % interval from 2 to 6."""
    found = interval_score(np.array([2.0]), np.array([6.0]), np.array([observed]), 0.5)

    assert found.tolist() == [score]


def test_the_weighted_interval_score_of_a_small_example():
    """Median 4, middle half from 2 to 6, observed 9: (0.5 * 5 + 0.25 * (4 + 4 * 3)) / 1.5."""
    found = weighted_interval_score(THREE, np.array([[2.0], [4.0], [6.0]]), np.array([9.0]))

    assert found == pytest.approx([(2.5 + 4.0) / 1.5])


@given(forecast=numbers, observed=numbers)
def test_without_uncertainty_the_score_is_the_absolute_error(forecast, observed):
    """For any forecast and observation."""
    found = weighted_interval_score(LEVELS, np.full((len(LEVELS), 1), forecast), np.array([observed]))

    assert found[0] == pytest.approx(abs(observed - forecast), rel=1e-9, abs=1e-9)


@given(values=st.lists(numbers, min_size=23, max_size=23).map(sorted), observed=numbers)
def test_the_score_is_twice_the_mean_quantile_loss(values, observed):
    """Its other definition (Bracher et al. 2021, section 2.2), over the same levels."""
    quantiles, levels = np.array(values), np.array(LEVELS)
    loss = np.where(observed <= quantiles, (1 - levels) * (quantiles - observed), levels * (observed - quantiles))

    found = weighted_interval_score(LEVELS, quantiles[:, None], np.array([observed]))

    assert found[0] == pytest.approx(2 * loss.sum() / len(LEVELS), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(("shift", "scale"), [(1.0, 1.0), (-1.0, 1.0), (0.0, 0.4), (0.0, 2.5)])
def test_the_true_distribution_has_the_best_score(shift, scale):
    """The score is proper: bias and a wrong spread make it worse."""
    observed = np.random.default_rng(1).normal(0, 1, 20_000)

    def mean_score(forecast):
        quantiles = np.repeat(forecast.ppf(LEVELS)[:, None], len(observed), axis=1)
        return weighted_interval_score(LEVELS, quantiles, observed).mean()

    assert mean_score(stats.norm(0, 1)) < mean_score(stats.norm(shift, scale)) - 0.01


@pytest.mark.parametrize(
    ("levels", "message"),
    [((0.1, 0.25, 0.5, 0.75), "no quantile of level 0.9"), ((0.25, 0.5, 0.75, 0.9), "must be symmetric")],
)
def test_asymmetric_levels_are_rejected(levels, message):
    """An interval needs both of its bounds."""
    with pytest.raises(ValueError, match=message):
        weighted_interval_score(levels, np.zeros((4, 1)), np.zeros(1))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_intervals_of_the_true_distribution_have_their_nominal_coverage(share):
    """An observation on a bound is covered."""
    truth = stats.gamma(4, scale=20)
    observed = truth.rvs(20_000, random_state=2)
    quantiles = np.repeat(truth.ppf(LEVELS)[:, None], len(observed), axis=1)

    assert is_covered(LEVELS, quantiles, observed, share).mean() == pytest.approx(share, abs=0.01)
    assert is_covered(THREE, np.array([[2.0], [4.0], [6.0]]), np.array([6.0]), 0.5).all()


def test_persistence_has_a_constant_median_and_a_spread_of_the_root_of_the_horizon():
    """Changes of 10 and -2 count with both signs: at most 10 at horizon 1, twice as much at horizon 4."""
    found = persistence(np.array([100.0, 110.0, 108.0]), np.array([1, 4]), (0.0, 0.5, 1.0))

    assert found.tolist() == [[98.0, 88.0], [108.0, 108.0], [118.0, 128.0]]


def test_persistence_from_one_observation_has_no_spread_and_is_never_negative():
    """Without a second observation there is no change to learn from."""
    assert persistence(np.array([7.0]), np.array([1, 2]), THREE).tolist() == [[7.0, 7.0]] * 3
    assert persistence(np.array([50.0, 1.0]), np.array([1]), (0.0, 0.5, 1.0)).tolist() == [[0.0], [1.0], [50.0]]
