"""Posteriors beside their priors: of one parameter at one point, or compared between many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from epydrop_stages.outputs.report.figures.style import BLUE, GREY, RED, SERIES, SKY, Drawing, Margins, bars
from epydrop_stages.outputs.report.posterior_estimates import Estimate, Interval, Marginal

SIZE = (3.6, 2.7)
_FEWEST_BINS, _MOST_BINS = 6, 24
_MOST_CHAINS = 12
_ROW, _FOREST_WIDTH = 0.17, 6.0  # inches


def posterior_chart(marginal: Marginal, unit: str, *, title: str = "") -> Drawing:
    """The weighted histogram of all particles with the prior as a dashed line, above the interval of each chain."""

    def draw(figure: Figure) -> None:
        chains = marginal.estimate.chains[:_MOST_CHAINS]
        rows = len(chains) if len(chains) > 1 else 0
        upper, lower = (
            figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 0.2 + 0.22 * rows], "hspace": 0.06})
            if rows
            else (figure.add_subplot(), None)
        )
        _histogram(upper, marginal)
        if lower is not None:
            _chains(lower, chains)
        (upper if lower is None else lower).set_xlabel(_label(marginal.estimate.name, unit))

    return Drawing(draw, SIZE, title=title, margins=Margins(left=0.3, right=0.17))


def forest_chart(name: str, unit: str, estimates: Sequence[tuple[str, Estimate]]) -> Drawing:
    """One row for each point: median, central 50 % and 95 %, and the medians of its chains as small marks.

    ``estimates``: (label, estimate). The grey band is the central 95 % of the prior.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        rows = np.arange(len(estimates))[::-1]
        prior = next((estimate.prior for _, estimate in estimates if estimate.prior), None)
        if prior:
            axes.axvspan(*prior, color=GREY, alpha=0.12, linewidth=0, label="prior, 95 %")
        found = [estimate for _, estimate in estimates]
        marks = [(chain.median, row) for row, each in zip(rows, found, strict=True) for chain in _chains_of(each)]
        axes.plot(*zip(*marks, strict=True), "|", color=RED, markersize=7, mew=1.0) if marks else None
        _bars(axes, rows, [each.pooled for each in found], BLUE)
        axes.set_yticks(rows, [location for location, _ in estimates])
        axes.set_ylim(-0.8, len(estimates) - 0.2)
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_title(_label(name, unit))

    return Drawing(draw, (_FOREST_WIDTH, 0.9 + _ROW * len(estimates)))


def _histogram(axes: Axes, marginal: Marginal) -> None:
    values, estimate = marginal.values, marginal.estimate
    low, high = float(np.min(values)), float(np.max(values))
    # The square-root rule, a little finer: a rough shape is enough beside the intervals.
    count = int(np.clip(1.5 * np.sqrt(len(values)), _FEWEST_BINS, _MOST_BINS))
    bins = np.linspace(low, high, count + 1) if high > low else np.array([low - 0.5, low + 0.5])
    axes.hist(values, bins=bins.tolist(), weights=marginal.weights, density=True, color=SKY, alpha=0.75)
    axes.axvspan(estimate.pooled.low, estimate.pooled.high, color=BLUE, alpha=0.08, linewidth=0, label="95 %")
    axes.axvline(estimate.pooled.median, color=BLUE, linewidth=1.8, label="median")
    if marginal.density is not None:
        places, density = marginal.density
        axes.plot(places, density, color=RED, linewidth=1.5, linestyle="--", label="prior")
    axes.set_ylabel("density")
    axes.margins(y=0.12)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.legend(loc="upper right", fontsize=8)


def _chains_of(estimate: Estimate) -> Sequence[Interval]:
    """None for a single chain: its median is that of the pooled estimate."""
    return estimate.chains if len(estimate.chains) > 1 else ()


def _chains(axes: Axes, chains: Sequence[Interval]) -> None:
    for row, chain in enumerate(chains):
        _bars(axes, [-row], [chain], SERIES[row % len(SERIES)])
    axes.set_ylim(-len(chains) + 0.4, 0.6)
    axes.set_yticks([])
    axes.set_ylabel("chains", fontsize=8)
    axes.spines["left"].set_visible(False)


def _bars(axes: Axes, rows: Any, found: Sequence[Interval], color: str) -> None:
    """A thin line for the central 95 %, a thick one for the central 50 %, a dot for the median."""
    both = list(zip(rows, found, strict=True))
    bars(axes, [(row, each.low, each.high) for row, each in both], flat=True, color=color, linewidth=1.1)
    bars(axes, [(row, each.lower, each.upper) for row, each in both], flat=True, color=color, linewidth=3.2)
    medians = [each.median for each in found]
    axes.plot(medians, rows, "o", mfc="white", mec=color, markersize=4, mew=1.2)


def _label(name: str, unit: str) -> str:
    words = name.replace("R0", "R₀").replace("_", " ")
    return f"{words} ({unit})" if unit else words
