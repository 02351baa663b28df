"""The digests of all points, folded one by one into tables, quality.json and the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from epydrop.experiment import Experiment
from epydrop.formats.names import QUALITY
from epydrop_stages.contract.suite import Output, RunFacts
from epydrop_stages.outputs.digests import PointDigest
from epydrop_stages.outputs.hub.file import hub_name, write_hub_file
from epydrop_stages.outputs.hub.forecast import HubForecast
from epydrop_stages.outputs.quality.presence import location_findings
from epydrop_stages.outputs.quality.summary import Quality, forecast_findings, hub_findings, of_main_scenario
from epydrop_stages.outputs.report.page import Report
from epydrop_stages.outputs.tables.files import Table
from epydrop_stages.outputs.tables.layouts import layouts_of
from epydrop_stages.outputs.tables.rows import Row, as_columns, metadata_row, point_cells

_ROWS_AT_ONCE = 1000


def publish(
    digests: Iterable[PointDigest], experiment: Experiment, facts: RunFacts, workspace: Path
) -> Iterator[Output]:
    """Every output of a run; a few kilobytes of each digest are kept."""
    report, quality = Report(experiment, facts), Quality()
    tables = _Tables(experiment, facts, workspace)
    forecasts: list[HubForecast] = []
    try:
        for digest in digests:
            tables.add(digest)
            quality.add(digest.quality)
            report.add(digest)
            forecasts += [digest.hub] if digest.hub else []
    finally:  # the files are closed also when the results were refused; then nobody publishes them
        outputs = tables.close()
    yield from outputs
    missing = [line for line, _ in facts.missing]
    quality.extend(location_findings(facts.locations, missing, experiment.run.required))
    quality.extend(forecast_findings(of_main_scenario(quality.scores, experiment)))
    yield from _hub_file(forecasts, experiment, facts, workspace, quality)
    yield _written(workspace / QUALITY, quality.to_json(facts.run_id))
    yield from report.write(workspace, quality)


def _hub_file(
    forecasts: list[HubForecast], experiment: Experiment, facts: RunFacts, workspace: Path, quality: Quality
) -> Iterator[Output]:
    """The hub's file, unless the hub would refuse it; what is wrong or absent becomes findings."""
    if hub := experiment.outputs.hub:
        name = hub_name(hub)
        path, problems = write_hub_file(forecasts, facts.locations, workspace / name)
        quality.extend(hub_findings(problems))
        if path:
            yield Output(name, path)


def _written(path: Path, data: bytes) -> Output:
    path.write_bytes(data)
    return Output(path.name, path)


class _Tables:
    """The tables that the experiment asks for."""

    def __init__(self, experiment: Experiment, facts: RunFacts, workspace: Path) -> None:
        self._tables = {
            name: Table(workspace, layout) for name, layout in layouts_of(experiment, facts.columns).items()
        }
        self._columns = facts.columns
        self._missing = [line for line, _ in facts.missing][::-1]
        self._rows: list[Row] = []

    def add(self, digest: PointDigest) -> None:
        """One point's rows."""
        for name, block in digest.blocks.items():
            self._tables[name].append(block)
        for index, row in digest.metadata.items():
            self._add_missing(before=index)
            self._add_metadata(row)

    def close(self) -> list[Output]:
        """Ends all tables."""
        self._add_missing(before=None)
        self._flush()
        return [output for table in self._tables.values() for output in table.close()]

    def _add_missing(self, before: int | None) -> None:
        """Tasks without a result stand in the metadata too, in their place."""
        while self._missing and (before is None or self._missing[-1].index < before):
            line = self._missing.pop()
            self._add_metadata(
                metadata_row(line, point_cells(line.key.location, line.key.parameters, self._columns), None)
            )

    def _add_metadata(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._rows and not self._columns.own_tables:
            self._tables["model_metadata"].add(as_columns(self._rows))
            self._rows = []
