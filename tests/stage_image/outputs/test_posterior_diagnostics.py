"""Posterior diagnostics, compared with numpy and scipy, and with simulations of known outcome."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from epydrop_stages.outputs.quality.posterior_diagnostics import (
    Draws,
    contraction,
    rank_normalised_rhat,
    shares_at_bounds,
)
from epydrop_stages.outputs.weighted import effective_sample_size, weighted_variance

weights = arrays.arrays(float, st.integers(2, 30), elements=st.floats(0.01, 1.0))


def draws(rng, *, mean=0.0, scale=1.0, count=400):
    return Draws(rng.normal(mean, scale, count), np.full(count, 1 / count))


def test_the_effective_sample_size_of_equal_weights_is_their_number():
    """And 1 if one draw has all the weight."""
    assert effective_sample_size(np.full(80, 1 / 80)) == pytest.approx(80)
    assert effective_sample_size(np.array([1.0, 0.0, 0.0])) == 1.0
    assert effective_sample_size(np.array([0.5, 0.25, 0.25])) == pytest.approx(1 / 0.375)


@given(weights=weights)
def test_the_effective_sample_size_is_between_one_and_the_number_of_draws(weights):
    """For any weights."""
    assert 1.0 - 1e-9 <= effective_sample_size(weights) <= len(weights) + 1e-9


@given(values=arrays.arrays(float, 12, elements=st.floats(-1e3, 1e3)))
def test_the_variance_of_equal_weights_is_that_of_numpy(values):
    """With ddof=1."""
    assert weighted_variance(values, np.full(12, 1 / 12)) == pytest.approx(np.var(values, ddof=1), rel=1e-6, abs=1e-6)


def test_contraction_compares_variances():
    """A normal posterior of half the width has a quarter of the variance."""
    values = stats.norm(0, 0.5).ppf((np.arange(4000) + 0.5) / 4000)
    equal = np.full(4000, 1 / 4000)

    assert contraction(values, equal, stats.norm(0, 1)) == pytest.approx(0.75, abs=0.01)
    assert contraction(2 * values, equal, stats.norm(0, 1)) == pytest.approx(0.0, abs=0.01)
    assert np.isnan(contraction(values, equal, stats.cauchy()))


def test_only_truncating_bounds_have_a_share():
    """A uniform prior truncates at both ends, a half-normal at 0, a gamma with density 0 at 0 nowhere."""
    equal = np.full(4, 0.25)

    assert shares_at_bounds(np.array([0.0, 0.04, 0.5, 0.96]), equal, stats.uniform(0, 1)) == (0.5, 0.25)
    low, high = shares_at_bounds(np.array([0.001, 0.5, 1.0, 2.0]), equal, stats.halfnorm())
    assert (low, np.isnan(high)) == (0.25, True)
    assert np.isnan(shares_at_bounds(np.array([0.1, 0.5, 1.0, 2.0]), equal, stats.gamma(3))).all()


def plain_rhat(scores):
    """R-hat of chains (chains, draws) as Gelman et al. write it."""
    count = scores.shape[1]
    within = scores.var(axis=1, ddof=1).mean()
    between = count * scores.mean(axis=1).var(ddof=1)
    return np.sqrt(((count - 1) / count * within + between / count) / within)


def test_r_hat_of_equal_weights_is_that_of_normal_scores():
    """The larger of location and scale, both computed step by step."""
    rng = np.random.default_rng(3)
    chains = [draws(rng, mean=mean, count=100) for mean in (0.0, 0.1, 0.3)]
    values = np.concatenate([chain.values for chain in chains])
    scores = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values)).reshape(3, 100)
    folded = np.abs(values - np.sort(values)[len(values) // 2 - 1])
    spread = stats.norm.ppf((stats.rankdata(folded) - 0.5) / len(values)).reshape(3, 100)

    assert rank_normalised_rhat(chains) == pytest.approx(max(plain_rhat(scores), plain_rhat(spread)), rel=1e-3)


def test_r_hat_tells_chains_of_one_distribution_from_others():
    """In location and in scale; also for Cauchy draws, which have no mean."""
    rng = np.random.default_rng(4)
    equal = np.full(400, 1 / 400)

    assert rank_normalised_rhat([draws(rng) for _ in range(4)]) < 1.02
    assert rank_normalised_rhat([draws(rng), draws(rng, mean=2.0)]) > 1.2
    assert rank_normalised_rhat([draws(rng), draws(rng, scale=4.0)]) > 1.2
    assert rank_normalised_rhat([Draws(rng.standard_cauchy(400), equal) for _ in range(4)]) < 1.05


def test_weights_count_as_repeated_draws_would():
    """Two chains of different values agree if their weighted distributions do."""
    rng = np.random.default_rng(5)
    values = rng.uniform(0, 1, 4000)
    weighted = Draws(values, 2 * values / np.sum(2 * values))  # density 2 x
    plain = Draws(np.sqrt(rng.uniform(0, 1, 4000)), np.full(4000, 1 / 4000))  # the same density

    assert rank_normalised_rhat([weighted, plain]) < 1.01
    assert rank_normalised_rhat([Draws(values, plain.weights), plain]) > 1.05


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 50), shift=st.floats(-100, 100))
def test_r_hat_does_not_depend_on_units(seed, scale, shift):
    """Ranks are the same in days and in hours."""
    rng = np.random.default_rng(seed)
    chains = [draws(rng, count=60), draws(rng, mean=0.5, count=60)]
    others = [Draws(shift + scale * chain.values, chain.weights) for chain in chains]

    assert rank_normalised_rhat(others) == pytest.approx(rank_normalised_rhat(chains), rel=0.02)


def test_r_hat_is_undefined_for_one_chain_and_for_constant_draws():
    """nan, which no check fails."""
    same = Draws(np.ones(5), np.full(5, 0.2))

    assert np.isnan(rank_normalised_rhat([same]))
    assert np.isnan(rank_normalised_rhat([same, same]))
