"""What a suite tells of its models: all that tables, quality checks and report need to know beyond the numbers.

The suites fill these in; nothing here knows one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from epydrop_stages.contract.results import Floats


class Prior(Protocol):
    """A distribution, as scipy's frozen ones are."""

    def pdf(self, x: Any) -> Any:
        """The density at these places."""

    def cdf(self, x: Any) -> Any:
        """The probability below these places."""

    def ppf(self, q: Any) -> Any:
        """The quantiles of these levels."""

    def support(self) -> tuple[float, float]:
        """The least and the largest value; either may be infinite."""

    def var(self) -> Any:
        """The variance; it may be infinite or nan."""


@dataclass(frozen=True)
class Columns:
    """The columns of the tables that differ from experiment to experiment, known before any result is read.

    A suite with ``own_tables`` needs none of them; only quality and report are common then.
    ``parameters`` maps the dotted path of each varied parameter to 'number' or 'text' (then its values are written as
    JSON); ``variables`` are those of the trajectories, ``priors`` the calibrated parameters of any point.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Sequence[str] = ()
    priors: Sequence[str] = ()
    own_tables: bool = False


@dataclass(frozen=True)
class Description:
    """The model of one point.

    ``compartments``: the variables that add up to the population on every day; ``infectious``: those that count the
    infectious; ``infections``: those that count new infections a day. ``derived``: what follows from the parameters,
    such as R0: one number, or one for each particle of the pooled posterior. ``names``: variable -> what people call
    it. ``words``: the model in half a sentence; ``document``: the whole of it, for people to read.
    """

    words: str = ""
    document: str = ""
    compartments: Sequence[str] = ()
    infectious: Sequence[str] = ()
    infections: Sequence[str] = ()
    priors: Mapping[str, Prior] = field(default_factory=dict)
    derived: Mapping[str, Floats | float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, variable: str) -> str:
        """What people call a variable: ``I_to_H_total`` is ``I to H`` unless the suite knows better."""
        return self.names.get(variable) or variable.removesuffix("_total").replace("_", " ")
