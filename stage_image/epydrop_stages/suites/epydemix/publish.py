"""One pass over the results of an epydemix experiment: each point goes into the tables and into the report."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.forecasts import forecast_columns, forecast_rows, has_forecasts
from epydrop_stages.hub.file import hub_name, write_hub_file
from epydrop_stages.hub.forecast import HubForecast, hub_forecast
from epydrop_stages.pools import Pool, weighted_quantiles
from epydrop_stages.report.page import Report
from epydrop_stages.results import Posterior, Result, Trajectories
from epydrop_stages.suites import Output, RunFacts, TaskLine
from epydrop_stages.suites.epydemix.tasks import locations, parameter_names, points
from epydrop_stages.suites.epydemix.variables import prior_names, variable_names
from epydrop_stages.tables import Table

_log = logging.getLogger("epydrop.stages.epydemix")


def publish(pools: Iterable[Pool], experiment: Experiment, facts: RunFacts, workspace: Path) -> Iterator[Output]:
    """Tables and report. Only the chains of one point are in memory at a time, and small summaries of the others."""
    report = Report(experiment, facts)
    tables = _Tables(experiment, facts, workspace)
    forecasts = []
    try:
        for pool in pools:
            tables.add(pool)
            report.add(pool)
            if forecast := hub_forecast(pool, experiment):
                forecasts.append(forecast)
    finally:  # the files are closed also when the results were refused; then nobody publishes them
        outputs = tables.close()
    yield from outputs
    yield from _hub_file(forecasts, experiment, workspace)
    yield report.write(workspace)


def _hub_file(forecasts: Sequence[HubForecast], experiment: Experiment, workspace: Path) -> Iterator[Output]:
    """The hub's file, unless the hub would refuse it."""
    if hub := experiment.outputs.hub:
        name = hub_name(hub)
        path, problems = write_hub_file(forecasts, locations(experiment), workspace / name)
        for problem in problems:
            _log.warning("hub file: %s", problem)
        if path:
            yield Output(name, path)


class _Tables:
    """The tables that the experiment asks for."""

    def __init__(self, experiment: Experiment, facts: RunFacts, workspace: Path) -> None:
        wanted = experiment.outputs
        self._levels = list(wanted.quantiles)
        self._paths = parameter_names(experiment)
        self._missing = [line for line, _ in facts.missing]
        numeric = _numeric(experiment, self._paths)
        self._numeric = numeric
        point = {"location": "text", **{path: "number" if path in numeric else "text" for path in self._paths}}
        priors = dict.fromkeys(prior_names(each.config for each in points(experiment)), "number")
        variables = dict.fromkeys(variable_names(each.config for each in points(experiment)), "number")
        run = {**point, "chain": "integer"}

        def table(name: str, columns: dict[str, str]) -> Table:
            return Table(workspace, name, columns, wanted.formats)

        scenario = {"scenario": "text"} if experiment.scenarios else {}
        value = {
            "kind": "text",
            **scenario,
            "date": "date",
            "variable": "text",
            "quantile": "number",
            "value": "number",
        }
        self._quantiles = table("quantiles", {**point, **value})
        self._metadata = table("model_metadata", {"index": "integer", **run, **_METADATA})
        self._trajectories = (
            table("trajectories", {**run, "kind": "text", **scenario, "sim": "integer", "date": "date", **variables})
            if wanted.trajectories
            else None
        )
        particle = {"particle": "integer", "weight": "number", "distance": "number"}
        self._posteriors = table("posteriors", {**run, **particle, **priors}) if wanted.posteriors and priors else None
        self._experiment = experiment
        columns = {**point, **forecast_columns(experiment)}
        self._forecasts = table("forecasts", columns) if has_forecasts(experiment) else None

    def add(self, pool: Pool) -> None:
        """One point's rows."""
        point = self._point(pool.location, pool.parameters)
        for both in pool.trajectories():
            self._add_quantiles(point, both)
        if self._forecasts:
            for rows in forecast_rows(pool, self._experiment):
                self._forecasts.add({**point, **rows})
        for line, result in pool.chains:
            self._add_missing(before=line.index)
            self._metadata.add({"index": line.index, **point, **_chain(line), **_metadata(result)})
            run = {**point, "chain": line.key.chain}
            for part in result.trajectories if self._trajectories else ():
                _add_trajectories(self._trajectories, run, part)
            if self._posteriors and result.posterior:
                _add_posterior(self._posteriors, run, result.posterior)

    def close(self) -> list[Output]:
        """Ends all tables."""
        self._add_missing(before=None)
        tables = (self._quantiles, self._forecasts, self._trajectories, self._posteriors, self._metadata)
        return [output for table in tables if table for output in table.close()]

    def _add_missing(self, before: int | None) -> None:
        """Tasks without a result stand in the metadata too, in their place."""
        while self._missing and (before is None or self._missing[0].index < before):
            line = self._missing.pop(0)
            point = self._point(line.key.location, line.key.parameters)
            self._metadata.add({"index": line.index, **point, **_chain(line), "state": "missing"})

    def _add_quantiles(self, point: dict[str, Any], part: Trajectories) -> None:
        days, levels = len(part.dates), len(self._levels)
        for name, values in part.variables.items():
            found = weighted_quantiles(values, part.weights, self._levels)
            self._quantiles.add(
                {
                    **point,
                    "kind": part.kind,
                    "scenario": part.scenario,
                    "date": np.repeat(part.dates, levels),
                    "variable": name,
                    "quantile": np.tile(self._levels, days),
                    "value": found.T.ravel(),
                }
            )

    def _point(self, location: str, parameters: Any) -> dict[str, Any]:
        values = {
            path: float(value) if path in self._numeric else json.dumps(value, ensure_ascii=False, sort_keys=True)
            for path, value in parameters.items()
        }
        return {"location": location, **values}


_METADATA = {
    "seed": "integer",
    "key": "text",
    "state": "text",
    "population": "number",
    "simulations": "integer",
    "particles": "integer",
    "effective_sample_size": "number",
    "largest_distance": "number",
}


def _chain(line: TaskLine) -> dict[str, Any]:
    return {"chain": line.key.chain, "seed": line.seed, "key": line.key.digest()}


def _metadata(result: Result) -> dict[str, Any]:
    """What one task computed; nothing of when or how fast, so that the table stays the same."""
    row: dict[str, Any] = {
        "state": "succeeded",
        "population": result.population,
        "simulations": sum(len(part.weights) for part in result.trajectories),
    }
    if posterior := result.posterior:
        row["particles"] = len(posterior.weights)
        row["effective_sample_size"] = float(1.0 / np.sum(posterior.weights**2))
        row["largest_distance"] = float(posterior.distances.max())
    return row


def _add_trajectories(table: Table | None, run: dict[str, Any], part: Trajectories) -> None:
    """One row for each simulation and day, one column for each variable."""
    if table is None:
        return
    runs, days = len(part.weights), len(part.dates)
    columns = {name: values.ravel() for name, values in part.variables.items()}
    table.add(
        {
            **run,
            "kind": part.kind,
            "scenario": part.scenario,
            "sim": np.repeat(np.arange(runs), days),
            "date": np.tile(part.dates, runs),
            **columns,
        }
    )


def _add_posterior(table: Table, run: dict[str, Any], posterior: Posterior) -> None:
    count = len(posterior.weights)
    table.add(
        {
            **run,
            "particle": np.arange(count),
            "weight": posterior.weights,
            "distance": posterior.distances,
            **posterior.values,
        }
    )


def _numeric(experiment: Experiment, paths: Sequence[str]) -> set[str]:
    """The paths of which every value is a number; the others are written as JSON."""
    texts = {
        path
        for path, values in experiment.tasks.grid.items()
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    }
    return set(paths) - texts
