"""The section ``outputs``: what the output stage publishes."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop.experiment.sections.section import Section, at_least_one, duplicates, one_of
from epydrop.experiment.text.problems import Finding, refuse
from epydrop.experiment.text.wording import describe

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
FORMATS = ("csv.gz", "parquet")

_MODEL_ID = re.compile(r"[A-Za-z0-9_]{1,15}-[A-Za-z0-9_]{1,15}")
_SATURDAY = 5  # of date.weekday()


def _saturday(value: date) -> date:
    if value.weekday() != _SATURDAY:
        hint = f"the Saturday of that week is {value + timedelta((_SATURDAY - value.weekday()) % 7)}"
        refuse([Finding(f"expected a Saturday, got {value:%A}, {value}", hint)])
    return value


def _model_id(value: str) -> str:
    if not _MODEL_ID.fullmatch(value):
        hint = "two names of at most 15 letters, digits and '_', joined by one '-'"
        refuse([Finding(f"expected 'team-model', got {describe(value)}", hint)])
    return value


def _quantiles(values: tuple[float, ...]) -> tuple[float, ...]:
    outside = (
        Finding(f"expected a number between 0 and 1, got {value:g}", at=(index,))
        for index, value in enumerate(values)
        if not 0 < value < 1
    )
    unordered = (
        Finding(f"quantiles must increase, but {high:g} follows {low:g}", at=(index,))
        for index, (low, high) in enumerate(pairwise(values), start=1)
        if low >= high
    )
    refuse([*at_least_one(values, "quantile"), *outside, *unordered])
    return values


def _formats(values: tuple[str, ...]) -> tuple[str, ...]:
    refuse([*at_least_one(values, "format"), *duplicates(values)])
    return values


class Hub(Section):
    """``outputs.hub``: the file for a forecast hub. Which hubs there are: ``hub_formats``."""

    format: Annotated[str, one_of(*HUB_FORMATS)] = Field(default="flusight", description="the hub")
    reference_date: Annotated[date, AfterValidator(_saturday)] = Field(
        description="the Saturday that the horizons count from"
    )
    model_id: Annotated[str, AfterValidator(_model_id)] = Field(
        default="epydrop-epydemix", description="team and model, as registered with the hub"
    )
    rate_trends: bool = Field(default=False, description="whether to add the hub's target for trends")
    scenario: str | None = Field(default=None, description="the scenario to submit, if there are several")


class Outputs(Section):
    """``outputs``: what the output stage publishes."""

    quantiles: Annotated[tuple[float, ...], AfterValidator(_quantiles)] = Field(
        default=QUANTILES, description="the levels in the tables of quantiles"
    )
    trajectories: bool = Field(default=True, description="whether to publish the single trajectories")
    posteriors: bool = Field(default=True, description="whether to publish the accepted parameters")
    formats: Annotated[tuple[Annotated[str, one_of(*FORMATS)], ...], AfterValidator(_formats)] = Field(
        default=FORMATS, description="the file formats of the tables: csv.gz, parquet"
    )
    hub: Hub | None = Field(default=None, description="the file for a forecast hub")
