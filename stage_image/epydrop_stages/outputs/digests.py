"""The digest of one point: its rows on disk, its pictures on disk, its quality, and a small summary.

Made in a worker. Serves every suite whose results are ``Result``s; what it must know of the model is in the
``Description`` that the suite gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Description
from epydrop_stages.contract.suite import RunFacts
from epydrop_stages.outputs.forecasts import forecast_rows
from epydrop_stages.outputs.hub.forecast import HubForecast, hub_forecast
from epydrop_stages.outputs.pools import Pool, weighted_quantiles
from epydrop_stages.outputs.quality import calibration, fit, numbers
from epydrop_stages.outputs.quality.checks import Finding, Severity
from epydrop_stages.outputs.quality.summary import PointQuality
from epydrop_stages.outputs.report.curves import Fan, infection_fans, main_fans
from epydrop_stages.outputs.report.marginals import Marginal, marginals_of
from epydrop_stages.outputs.report.pictures import Picture, point_name
from epydrop_stages.outputs.report.summaries import PointSummary, forecasts_of, outcomes_of
from epydrop_stages.outputs.tables.blocks import Block, BlockWriter
from epydrop_stages.outputs.tables.layouts import layouts_of
from epydrop_stages.outputs.tables.rows import (
    Row,
    metadata_row,
    point_cells,
    posterior_rows,
    quantile_rows,
    trajectory_rows,
)

BLOCKS = "blocks"


@dataclass(frozen=True)
class PointDigest:
    """``blocks``: table -> its rows of this point; ``metadata``: the rows of its tasks, by their index.

    ``hub`` is the point's part of a hub's file, where the experiment asks for one.
    """

    blocks: Mapping[str, Block]
    metadata: Mapping[int, Row]
    quality: PointQuality
    summary: PointSummary
    hub: HubForecast | None = None
    words: str = ""
    document: str = ""
    units: Mapping[str, str] = field(default_factory=dict)


def digest_point(
    pool: Pool, description: Description, experiment: Experiment, facts: RunFacts, workspace: Path
) -> PointDigest:
    """All that tables, quality and report need of a point. Its files lie in ``workspace`` when it returns."""
    return _Digesting(pool, description, experiment, facts, workspace).digest()


class _Digesting:
    def __init__(
        self, pool: Pool, description: Description, experiment: Experiment, facts: RunFacts, workspace: Path
    ) -> None:
        self._pool = pool
        self._parts = pool.trajectories()
        self._posterior = pool.posterior()
        self._description = description
        self._levels = sorted(experiment.outputs.quantiles)
        self._experiment = experiment
        self._facts = facts
        self._workspace = workspace
        self._layouts = layouts_of(experiment, facts.columns)
        self._cells = point_cells(pool.location, pool.parameters, facts.columns)
        self._findings: list[Finding] = []

    def digest(self) -> PointDigest:
        blocks = {name: block for name, rows in self._rows().items() if (block := self._written(name, rows))}
        described = self._description
        return PointDigest(
            blocks=blocks,
            metadata={line.index: metadata_row(line, self._cells, result) for line, result in self._pool.chains},
            quality=self._quality(),
            summary=self._summary(),
            hub=hub_forecast(self._pool, self._experiment),
            words=described.words,
            document=described.document,
            units=described.units,
        )

    # -- tables --------------------------------------------------------------------------------

    def _rows(self) -> dict[str, Iterator[Row]]:
        """The rows of each table but the metadata, which has rows of tasks without a result too."""
        return {
            "quantiles": self._quantile_rows(),
            "forecasts": ({**self._cells, **rows} for rows in forecast_rows(self._pool, self._experiment)),
            "trajectories": trajectory_rows(self._cells, self._pool),
            "posteriors": posterior_rows(self._cells, self._pool),
        }

    def _written(self, name: str, rows: Iterator[Row]) -> Block | None:
        """The block of a table, if the experiment asks for the table."""
        if name not in self._layouts:
            return None
        folder = self._workspace / BLOCKS
        folder.mkdir(exist_ok=True)
        writer = BlockWriter(folder, self._layouts[name], f"{self._pool.chains[0][0].index:05d}")
        for each in rows:
            writer.add(each)
        return writer.close()

    def _quantile_rows(self) -> Iterator[Row]:
        crossed = False
        for part in self._parts:
            for variable in part.variables:
                found = weighted_quantiles(part.variables[variable], part.weights, self._levels)
                if finding := numbers.ascending(self._pool, part, variable, found):
                    crossed = True
                    self._findings.append(finding)
                yield quantile_rows(self._cells, part, variable, self._levels, found)
        if not crossed:
            self._findings.append(Finding("quantiles", Severity.PASS, "they ascend", self._pool.location))

    # -- quality -------------------------------------------------------------------------------

    def _quality(self) -> PointQuality:
        pool, parts = self._pool, self._parts
        findings = [
            numbers.finite(pool, parts),
            *numbers.population(pool, parts, self._description.compartments),
            *self._findings,
        ]
        diagnosed = None
        if self._posterior:
            diagnosed = calibration.calibration_of(pool, self._posterior, self._description.priors)
            findings += calibration.findings(diagnosed)
        if finding := fit.fit_finding(pool, parts):
            findings.append(finding)
        return PointQuality.of(findings, diagnosed, list(fit.scores_of(pool, parts)))

    # -- report --------------------------------------------------------------------------------

    def _summary(self) -> PointSummary:
        pool, described = self._pool, self._description
        fans = main_fans(pool, self._parts, described)
        marginals = list(marginals_of(pool, self._posterior, described)) if self._posterior else []
        summary = PointSummary(
            index=pool.chains[0][0].index,
            location=pool.location,
            parameters=pool.parameters,
            outcomes=outcomes_of(pool, self._parts, described),
            derived={name: float(value) for name, value in described.derived.items() if np.ndim(value) == 0},
            estimates=[marginal.estimate for marginal in marginals],
            forecasts=forecasts_of(fans),
        )
        if summary.index not in self._facts.drawn:
            return summary
        return summary.with_pictures(list(self._pictures(summary.label, fans, marginals)))

    def _pictures(self, label: str, fans: Sequence[Fan], marginals: Sequence[Marginal]) -> Iterator[Picture]:
        from epydrop_stages.outputs.report.sketchbook import Sketchbook  # noqa: PLC0415 - matplotlib, for who draws only

        pool, many = self._pool, self._facts.draws_small
        stem = point_name(pool.location, pool.parameters, pool.chains[0][0].index)
        book = Sketchbook(self._workspace, stem, label, small=many)
        yield from book.fans("fan", fans)
        if not many:
            yield from book.fans("infections", infection_fans(self._parts, self._description))
            yield from book.posteriors(marginals, self._description.units)
