"""What a fan chart shows: quantiles of one quantity by date, in the periods of the data, with the observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from epydrop_stages.contract.description import Description
from epydrop_stages.contract.results import Days, Floats, Observations, Trajectories
from epydrop_stages.inputs.observations import DAYS_OF, by_period, is_transition
from epydrop_stages.outputs.pooled_point import PooledPoint, sum_of
from epydrop_stages.outputs.weighted import weighted_quantiles

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True)
class Fan:
    """One quantity over time. ``bands``: shape (7 levels, dates); ``unit``: 'people', 'per day' or 'per week'.

    ``start``: the last fitted date, after which the curve is a forecast; None if nothing was fitted.
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
        """Quantity and unit, for an axis."""
        return f"{self.quantity} ({self.unit})" if self.unit == "people" else f"{self.quantity} {self.unit}"

    @property
    def top(self) -> float:
        """The largest value drawn: of the upper 95 % bound and of the observations in the period shown."""
        highest = [self.bands[-1].max(initial=0.0)]
        if self.observed is not None:
            # Observations outside the dates shown are not drawn and must not stretch the axis.
            seen = self.observed.values[np.isin(self.observed.dates.astype("datetime64[D]"), self.dates)]
            highest.append(np.max(seen[np.isfinite(seen)], initial=0.0))
        return float(max(highest))

    def after_start(self, count: int) -> Iterator[tuple[np.datetime64, Floats]]:
        """The first ``count`` dates of the forecast, each with its bands of shape (7,)."""
        later = np.flatnonzero(self.dates > self.start).tolist() if self.start is not None else []
        return ((self.dates[place], self.bands[:, place]) for place in later[:count])

    def alt_text(self) -> str:
        """The figure in words, for readers who cannot see it."""
        last = self.bands[:, -1]
        peak = int(self.bands[MEDIAN].argmax())
        text = (
            f"{self.label} from {self.dates[0]} to {self.dates[-1]}: the median peaks at "
            f"{self.bands[MEDIAN, peak]:,.4g} on {self.dates[peak]} and ends at {last[MEDIAN]:,.4g} "
            f"(95 % interval {last[0]:,.4g} to {last[-1]:,.4g})"
        )
        if self.start is not None and self.start < self.dates[-1]:
            text += f"; forecast after {self.start}"
        return text


def main_parts(parts: Sequence[Trajectories]) -> list[Trajectories]:
    """The trajectories that the report is about: the projection of each scenario, else the last part."""
    return [part for part in parts if part.kind == "projection"] or [parts[-1]]


def main_fans(point: PooledPoint, parts: Sequence[Trajectories], description: Description) -> list[Fan]:
    """One fan for each scenario: of the observed variable, else of the infectious, else of the first variable."""
    observed = point.first.observed
    shown = main_parts(parts)
    if observed is not None and observed.variable in shown[0].variables:
        calibration = next((part for part in parts if part.kind == "calibration"), None)
        fans = [_observed_fan(observed, part, calibration, description) for part in shown]
        return [fan for fan in fans if len(fan.dates)]
    names = [name for name in description.infectious if name in shown[0].variables]
    if names:
        quantity = " + ".join(description.name_of(name) for name in names)
    else:
        names = list(shown[0].variables)[:1]
        quantity = description.name_of(names[0]) if names else ""
    return [_daily_fan(part, names, quantity, _unit(names, "day")) for part in shown] if names else []


def infection_fans(parts: Sequence[Trajectories], description: Description) -> list[Fan]:
    """New infections a day, one fan for each scenario; none if the description does not name the infections."""
    shown = main_parts(parts)
    names = [name for name in description.infections if name in shown[0].variables]
    return [_daily_fan(part, names, "new infections", "per day") for part in shown] if names else []


def _observed_fan(
    observed: Observations, part: Trajectories, calibration: Trajectories | None, description: Description
) -> Fan:
    """The observed variable in the periods of the data. A projection may start where the calibration ends."""
    dates, bands = _bands(observed, part)
    if calibration is not None and calibration is not part:
        earlier, fitted = _bands(observed, calibration)
        kept = earlier < dates[0] if len(dates) else np.ones(len(earlier), dtype=bool)
        dates, bands = np.concatenate([earlier[kept], dates]), np.concatenate([fitted[:, kept], bands], axis=1)
    # Without the days before the first observation, in which the model only warms up.
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


def _daily_fan(part: Trajectories, names: Sequence[str], quantity: str, unit: str) -> Fan:
    bands = weighted_quantiles(sum_of(part, names), part.weights, LEVELS)
    return Fan(quantity, unit, part.dates.astype("datetime64[D]"), bands, part.scenario)


def _unit(names: Sequence[str], period: str) -> str:
    if period not in DAYS_OF:
        raise ValueError(f"a period is one of {', '.join(DAYS_OF)}, got {period!r}")
    return f"per {period}" if any(is_transition(name) for name in names) else "people"
