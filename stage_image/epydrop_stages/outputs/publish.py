"""Combines the digests of all points, one at a time, into the tables, the hub file, quality.json and the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from epydrop.experiment import Experiment
from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop.formats.names import QUALITY
from epydrop_stages.contract.suite import Output, RunFacts
from epydrop_stages.outputs.hub.file import hub_file_name, write_hub_file
from epydrop_stages.outputs.hub.location_forecast import LocationForecast
from epydrop_stages.outputs.point_digest import PointDigest
from epydrop_stages.outputs.quality.location_checks import location_findings
from epydrop_stages.outputs.quality.run_quality import RunQuality, forecast_findings, hub_findings, of_main_scenario
from epydrop_stages.outputs.report.page import Report
from epydrop_stages.outputs.tables import model_metadata
from epydrop_stages.outputs.tables.model_metadata import TaskRows
from epydrop_stages.outputs.tables.registry import layouts_of
from epydrop_stages.outputs.tables.table_files import TableFiles


def publish(
    digests: Iterable[PointDigest], experiment: Experiment, facts: RunFacts, workspace: Path
) -> Iterator[Output]:
    """Yields every output of a run. A few kilobytes of each digest stay in memory."""
    report, quality = Report(experiment, facts), RunQuality()
    tables = _Tables(experiment, facts, workspace)
    forecasts: list[LocationForecast] = []
    try:
        for digest in digests:
            tables.add(digest)
            quality.add(digest.quality)
            report.add(digest.summary, digest.model)
            forecasts += [digest.hub] if digest.hub else []
    finally:  # results that are refused raise from ``digests``: close the files even so
        outputs = tables.close()
    yield from outputs
    # Checks over all points come after the points, and before quality.json and the report, which show them.
    missing = [line for line, _ in facts.missing]
    quality.extend(location_findings(facts.locations, missing, experiment.run.required))
    quality.extend(forecast_findings(of_main_scenario(quality.scores, experiment)))
    yield from _hub_file(forecasts, experiment, facts, workspace, quality)
    yield _written(workspace / QUALITY, quality.to_json(facts.run_id))
    yield from report.write(workspace, quality)


def _hub_file(
    forecasts: Sequence[LocationForecast], experiment: Experiment, facts: RunFacts, workspace: Path, quality: RunQuality
) -> Iterator[Output]:
    """The hub file, unless the hub would reject it. What is wrong or missing is added to ``quality``."""
    if hub := experiment.outputs.hub:
        name = hub_file_name(hub.reference_date, hub.model_id)
        path, problems = write_hub_file(forecasts, facts.locations, HUB_FORMATS[hub.format], workspace / name)
        quality.extend(hub_findings(problems))
        if path:
            yield Output(name, path)


def _written(path: Path, data: bytes) -> Output:
    path.write_bytes(data)
    return Output(path.name, path)


class _Tables:
    """The tables of the experiment; none for a suite that makes its own."""

    def __init__(self, experiment: Experiment, facts: RunFacts, workspace: Path) -> None:
        layouts = layouts_of(experiment, facts.columns)
        self._files = {name: TableFiles(workspace, layout) for name, layout in layouts.items()}
        metadata = self._files.get(model_metadata.TABLE.name)
        missing = [line for line, _ in facts.missing]
        self._task_rows = TaskRows(metadata, missing, facts.columns) if metadata else None

    def add(self, digest: PointDigest) -> None:
        """Appends the rows of one point."""
        for name, block in digest.blocks.items():
            self._files[name].append(block)
        if self._task_rows:
            self._task_rows.add(digest.task_rows)

    def close(self) -> list[Output]:
        """Ends all files."""
        if self._task_rows:
            self._task_rows.close()
        return [output for files in self._files.values() for output in files.close()]
