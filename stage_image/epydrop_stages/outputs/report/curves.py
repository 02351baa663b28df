"""From trajectories to fans: quantiles in the terms of the data, with what was observed beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from epydrop_stages.contract.description import Description
from epydrop_stages.contract.results import Days, Floats, Observations, Trajectories
from epydrop_stages.inputs.observations import DAYS_OF, by_period
from epydrop_stages.outputs.pools import Pool, sum_of, weighted_quantiles

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
_MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True)
class Fan:
    """Curves of one quantity: ``bands`` has the shape (7 levels, dates), ``unit`` is 'people', 'per day' or 'per week'.

    ``start`` is the last date that was fitted: what follows is forecast; None when nothing was.
    """

    quantity: str
    unit: str
    dates: Days
    bands: Floats
    scenario: str = ""
    observed: Observations | None = None
    start: np.datetime64 | None = None

    @property
    def label(self) -> str:
        """Quantity and unit."""
        return f"{self.quantity} ({self.unit})" if self.unit == "people" else f"{self.quantity} {self.unit}"

    @property
    def top(self) -> float:
        """The largest number on it."""
        highest = [self.bands[-1].max(initial=0.0)]
        if self.observed is not None:
            seen = self.observed.values[np.isin(self.observed.dates.astype("datetime64[D]"), self.dates)]
            highest.append(np.max(seen[np.isfinite(seen)], initial=0.0))
        return float(max(highest))

    def after_start(self, count: int) -> Iterator[tuple[np.datetime64, Floats]]:
        """The first dates of the forecast with their bands (7,)."""
        later = np.flatnonzero(self.dates > self.start).tolist() if self.start is not None else []
        return ((self.dates[place], self.bands[:, place]) for place in later[:count])

    def in_words(self) -> str:
        """What the figure shows, for who cannot see it."""
        last = self.bands[:, -1]
        peak = int(self.bands[_MEDIAN].argmax())
        words = (
            f"{self.label} from {self.dates[0]} to {self.dates[-1]}: the median peaks at "
            f"{self.bands[_MEDIAN, peak]:,.4g} on {self.dates[peak]} and ends at {last[_MEDIAN]:,.4g} "
            f"(95 % interval {last[0]:,.4g} to {last[-1]:,.4g})"
        )
        if self.start is not None and self.start < self.dates[-1]:
            words += f"; forecast from {self.start} on"
        return words


def main_parts(parts: Sequence[Trajectories]) -> list[Trajectories]:
    """What is shown: the projections, one for each scenario, else whatever there is."""
    return [part for part in parts if part.kind == "projection"] or [parts[-1]]


def main_fans(pool: Pool, parts: Sequence[Trajectories], description: Description) -> list[Fan]:
    """What was calibrated, or else who is infectious, or else the first variable: one fan for each scenario."""
    observed = pool.first.observed
    shown = main_parts(parts)
    if observed is not None and observed.variable in shown[0].variables:
        before = next((part for part in parts if part.kind == "calibration"), None)
        fans = [_observed_fan(observed, part, before, description) for part in shown]
        return [fan for fan in fans if len(fan.dates)]
    names = [name for name in description.infectious if name in shown[0].variables]
    if names:
        quantity = " + ".join(description.name_of(name) for name in names)
    else:
        names = list(shown[0].variables)[:1]
        quantity = description.name_of(names[0]) if names else ""
    return [_plain_fan(part, names, quantity, _unit(names, "day")) for part in shown] if names else []


def infection_fans(parts: Sequence[Trajectories], description: Description) -> list[Fan]:
    """New infections a day, one fan for each scenario; none where the suite does not say what infects."""
    shown = main_parts(parts)
    names = [name for name in description.infections if name in shown[0].variables]
    return [_plain_fan(part, names, "new infections", "per day") for part in shown] if names else []


def _observed_fan(
    observed: Observations, part: Trajectories, before: Trajectories | None, description: Description
) -> Fan:
    dates, bands = _bands(observed, part)
    if before is not None and before is not part:
        earlier, fitted = _bands(observed, before)
        kept = earlier < dates[0] if len(dates) else np.ones(len(earlier), dtype=bool)
        dates, bands = np.concatenate([earlier[kept], dates]), np.concatenate([fitted[:, kept], bands], axis=1)
    shown = dates >= observed.dates[0].astype("datetime64[D]")
    fitted_days = observed.dates[observed.fitted].astype("datetime64[D]")
    return Fan(
        quantity=description.name_of(observed.variable),
        unit=_unit([observed.variable], observed.period),
        dates=dates[shown],
        bands=bands[:, shown],
        scenario=part.scenario,
        observed=observed,
        start=fitted_days.max() if len(fitted_days) else None,
    )


def _bands(observed: Observations, part: Trajectories) -> tuple[Days, Floats]:
    dates, values = by_period(observed, part.dates, part.variables[observed.variable])
    return dates, weighted_quantiles(values, part.weights, LEVELS) if len(dates) else np.empty((len(LEVELS), 0))


def _plain_fan(part: Trajectories, names: Sequence[str], quantity: str, unit: str) -> Fan:
    bands = weighted_quantiles(sum_of(part, names), part.weights, LEVELS)
    return Fan(quantity, unit, part.dates.astype("datetime64[D]"), bands, part.scenario)


def _unit(names: Sequence[str], period: str) -> str:
    if period not in DAYS_OF:
        raise ValueError(f"a period is one of {', '.join(DAYS_OF)}, got {period!r}")
    return f"per {period}" if any("_to_" in name for name in names) else "people"
