"""The digest of one point, made in a worker: rows and figures on disk, and in memory its quality and a summary.

It serves every suite that turns its results into ``Result``s. What it has to know of the model is in the
``Description``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Description
from epydrop_stages.contract.results import Posterior
from epydrop_stages.contract.suite import RunFacts
from epydrop_stages.outputs.hub.location_forecast import LocationForecast, location_forecast
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.quality.calibration_checks import calibration_findings, diagnose
from epydrop_stages.outputs.quality.findings import Finding
from epydrop_stages.outputs.quality.observation_checks import fit_finding, scores_of
from epydrop_stages.outputs.quality.run_quality import PointQuality
from epydrop_stages.outputs.quality.trajectory_checks import finite, population
from epydrop_stages.outputs.report.fan_data import infection_fans, main_fans
from epydrop_stages.outputs.report.figure_files import point_stem
from epydrop_stages.outputs.report.point_summary import Model, PointSummary, summarise
from epydrop_stages.outputs.report.posterior_estimates import marginals_of
from epydrop_stages.outputs.tables.blocks import Block, BlockWriter, Layout
from epydrop_stages.outputs.tables.model_metadata import task_row
from epydrop_stages.outputs.tables.registry import TABLES, layouts_of
from epydrop_stages.outputs.tables.table import PointData, Rows, point_cells

_BLOCKS = "blocks"  # a folder in the workspace


@dataclass(frozen=True)
class PointDigest:
    """What ``publish`` needs of one point; it must pickle and be small.

    ``blocks``: table -> its rows of this point; ``task_rows``: task index -> its row of ``model_metadata``; ``hub``:
    the point's part of the hub file, if the experiment asks for one.
    """

    blocks: Mapping[str, Block]
    task_rows: Mapping[int, Rows]
    quality: PointQuality
    summary: PointSummary
    model: Model
    hub: LocationForecast | None = None


def digest_point(
    point: PooledPoint, description: Description, experiment: Experiment, facts: RunFacts, workspace: Path
) -> PointDigest:
    """Digests one point. Its files are complete in ``workspace`` on return.

    Raises BadInput if the chains of the point cannot be pooled.
    """
    # Tables first: their rows leave memory as they are written, before figures and summaries need some.
    cells = point_cells(point.location, point.parameters, facts.columns)
    data = PointData(experiment, point, cells, point.trajectories())
    layouts = layouts_of(experiment, facts.columns)
    tables = [table for table in TABLES if table.name in layouts]
    blocks = {
        table.name: _written(table.rows(data), layouts[table.name], point, workspace) for table in tables if table.rows
    }
    posterior = point.posterior()
    return PointDigest(
        blocks=blocks,
        task_rows={line.index: task_row(line, cells, result) for line, result in point.chains},
        quality=_quality(data, posterior, description, (each for table in tables for each in table.check(data))),
        summary=_summary(data, posterior, description, facts, workspace),
        model=Model.of(description),
        hub=location_forecast(point, experiment),
    )


def _written(rows: Iterable[Rows], layout: Layout, point: PooledPoint, workspace: Path) -> Block:
    folder = workspace / _BLOCKS
    folder.mkdir(exist_ok=True)  # other workers may have made it meanwhile
    writer = BlockWriter(folder, layout, f"{point.index:05d}")
    for each in rows:
        writer.add(each)
    return writer.close()


def _quality(
    data: PointData, posterior: Posterior | None, description: Description, of_tables: Iterable[Finding]
) -> PointQuality:
    point, parts = data.point, data.parts
    findings = [finite(point, parts), *population(point, parts, description.compartments), *of_tables]
    calibration = None
    if posterior:
        calibration = diagnose(point, posterior, description.priors)
        findings += calibration_findings(calibration)
    if finding := fit_finding(point, parts):
        findings.append(finding)
    return PointQuality.of(findings, calibration, list(scores_of(point, parts)))


def _summary(
    data: PointData, posterior: Posterior | None, description: Description, facts: RunFacts, workspace: Path
) -> PointSummary:
    point, parts = data.point, data.parts
    fans = main_fans(point, parts, description)
    marginals = list(marginals_of(point, posterior, description)) if posterior else []
    summary = summarise(point, parts, description, fans, [marginal.estimate for marginal in marginals])
    if point.index not in facts.drawn:  # a sweep of a thousand points does not need a thousand figures
        return summary
    # Lazy: matplotlib takes longer to import than a point to digest, and many points are not drawn.
    from epydrop_stages.outputs.report.point_figures import PointFigures  # noqa: PLC0415

    stem = point_stem(point.location, point.parameters, point.index)
    drawn = PointFigures(workspace, stem, summary.label, small=facts.draws_small)
    figures = list(drawn.fans("fan", fans))
    if not facts.draws_small:  # a page of many small panels shows one figure for each point and scenario
        figures += drawn.fans("infections", infection_fans(parts, description))
        figures += drawn.posteriors(marginals, description.units)
    return summary.with_figures(figures)
