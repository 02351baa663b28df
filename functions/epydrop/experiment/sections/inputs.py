"""The sections that say where an experiment's input comes from: a repository, observations, a suite's own files."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from epydrop.experiment.sections.section import Section, one_of
from epydrop.experiment.text.problems import Finding, refuse
from epydrop.experiment.text.wording import describe, holds_credential

_GITHUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_ADDRESS = re.compile(r"(https://[^/\s]+/|file:///)\S+")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def _repository(value: str) -> str:
    # Experiments, replies and run folders are read by many people, so a token must never be in one.
    if holds_credential(value):
        hint = "the builder reads the token from GITHUB_PAT"
        refuse([Finding("the address must not contain a user name or token", hint)])
    if not (_GITHUB.fullmatch(value) or _ADDRESS.match(value)):
        refuse([Finding(f"expected 'owner/name', https://... or file:///..., got {describe(value)}")])
    return value


def _ref(value: str) -> str:
    # Nothing that git could take for an option ('-x') or a range ('a..b').
    if not _REF.fullmatch(value) or ".." in value or value.endswith((".lock", "/", ".")):
        refuse([Finding(f"expected a branch, a tag or a commit, got {describe(value)}")])
    return value


class Repository(Section):
    """``source``: the forecast repository. The builder resolves ``ref`` to a commit, once per run."""

    repo: Annotated[str, AfterValidator(_repository)] = Field(
        description="the repository: owner/name on GitHub, or an https:// or file:/// address"
    )
    ref: Annotated[str, AfterValidator(_ref)] = Field(default="HEAD", description="a branch, a tag or a commit")


class Config(Section):
    """``config``: the configuration of the suite ``epymodelingsuite``, each part as a file name or its content."""

    basemodel: str | dict[str, Any] | None = Field(default=None, description="the package's basemodel file")
    modelset: str | dict[str, Any] | None = Field(default=None, description="the package's modelset file")
    output: str | dict[str, Any] | None = Field(default=None, description="the package's output file")


class Window(Section):
    """The days from one date to another, both included."""

    start_date: date = Field(description="the first day")
    end_date: date = Field(description="the last day")

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.end_date < self.start_date:
            message = f"expected {self.start_date} or a later date, got {self.end_date}"
            refuse([Finding(message, at=("end_date",))])
        return self


class Data(Section):
    """``data``: the observations that every location is calibrated to, in a CSV of dates, locations and values."""

    file: str = Field(description="the CSV file, by its path from the experiment's folder")
    fitting_window: Window = Field(
        description="the observations to calibrate to; forecasts are scored against those after it"
    )
    date_column: str = Field(default="date", description="the column of dates")
    location_column: str | None = Field(
        default="location", description="the column of locations; null if the file has one location"
    )
    value_column: str = Field(default="value", description="the column of counts")
    period: Annotated[str, one_of("day", "week")] = Field(
        default="week", description="a value counts the people of the day or week that ends on its date"
    )
    names: dict[str, str] = Field(
        default_factory=dict, description="population to its name in the file, where that is not found by itself"
    )
