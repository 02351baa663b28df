"""What a suite says about its models: everything that tables, quality checks and report need besides the numbers.

Suites fill these in; nothing here depends on a particular suite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from epydrop_stages.contract.results import Floats


class Prior(Protocol):
    """A one-dimensional distribution with the interface of scipy's frozen distributions.

    ``x`` and ``q`` are scalars or arrays; every method returns values of the same shape.
    """

    def pdf(self, x: Any) -> Any:
        """Probability density at ``x``."""

    def cdf(self, x: Any) -> Any:
        """Probability of a value of at most ``x``."""

    def ppf(self, q: Any) -> Any:
        """Quantiles at the levels ``q``, each between 0 and 1."""

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value; either may be infinite."""

    def var(self) -> Any:
        """Variance; may be infinite or nan."""


@dataclass(frozen=True)
class Columns:
    """Those table columns that depend on the experiment. They are known before any result is read.

    ``parameters`` maps the dotted path of each varied parameter to 'number' or 'text' (text values are written as
    JSON). ``variables`` are the variables of the trajectories, ``priors`` the parameters that any point calibrates.
    A suite with ``own_tables`` writes tables of its own and needs none of these columns; it shares only the quality
    checks and the report.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Sequence[str] = ()
    priors: Sequence[str] = ()
    own_tables: bool = False


@dataclass(frozen=True)
class Description:
    """The model of one point.

    ``words``: the model in half a sentence; ``document``: its full configuration as text, for the report.
    ``compartments``: variables that add up to the population on every day; ``infectious``: variables that count
    infectious people; ``infections``: variables that count new infections per day.
    ``priors``: calibrated parameter -> its prior.
    ``derived``: quantities that follow from the parameters, such as R0: one number, or shape (particles,), one value
    for each particle of the pooled posterior.
    ``units``: parameter or derived quantity -> unit; ``names``: variable -> name to show.
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
        """Name of a variable in the report: ``I_to_H_total`` is ``I to H`` unless ``names`` has another."""
        return self.names.get(variable) or variable.removesuffix("_total").replace("_", " ")
