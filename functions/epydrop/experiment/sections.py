"""The sections of an experiment that say where its input comes from and what its forecasts become."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from epydrop.experiment import agreement, value_checks
from epydrop.experiment.text.problems import refuse


class Section(BaseModel):
    """A part of the file: no key is silently ignored, no value is silently converted."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Repository(Section):
    """The forecast repository; the builder resolves ``ref`` (a branch, tag or commit) to a commit, once."""

    repo: Annotated[str, AfterValidator(value_checks.repository)]
    ref: Annotated[str, AfterValidator(value_checks.ref)] = "HEAD"


class Config(Section):
    """The configuration of the suite ``epymodelingsuite``: names of files, or what would stand in them."""

    basemodel: str | dict[str, Any] | None = None
    modelset: str | dict[str, Any] | None = None
    output: str | dict[str, Any] | None = None


class Window(Section):
    """The days between two dates, both included."""

    start_date: date
    end_date: date

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        refuse(agreement.backwards(self.start_date, self.end_date))
        return self


class Data(Section):
    """The observations that every location is calibrated to: a CSV with dates, locations and values.

    An observation counts the people of the ``period`` that ends on its date. What lies after the fitting window
    is held back, and the forecasts are scored against it. ``names`` says what the file calls a location.
    """

    file: str
    fitting_window: Window
    date_column: str = "date"
    location_column: str | None = "location"
    value_column: str = "value"
    period: Annotated[str, AfterValidator(value_checks.period)] = "week"
    names: dict[str, str] = Field(default_factory=dict)


class Hub(Section):
    """The file for a forecast hub. ``reference_date`` is the Saturday that the horizons count from."""

    format: Annotated[str, AfterValidator(value_checks.hub_format)] = "flusight"
    reference_date: Annotated[date, AfterValidator(value_checks.saturday)]
    model_id: Annotated[str, AfterValidator(value_checks.model_id)] = "epydrop-epydemix"
    rate_trends: bool = False
    scenario: str | None = None
