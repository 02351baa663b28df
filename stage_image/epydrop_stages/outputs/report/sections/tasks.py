"""When the tasks ran, and which resources they used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from epydrop.formats.names import Stage
from epydrop_stages.contract.tries import Try
from epydrop_stages.outputs.report.context import ReportContext, Section

_FEWEST_TO_COMPARE = 8  # tasks; a histogram of fewer shows nothing


def section(context: ReportContext) -> Section | None:
    """None if no try left a record."""
    # Skipped tries found a valid result and computed nothing.
    tries = [each for each in context.facts.tries.read if each.started > 0 and not each.skipped]
    if not tries:
        return None
    computed = [each for each in tries if each.stage == Stage.RUNNER and not each.failed]
    data = {
        "timeline": _timeline(context, tries),
        "resources": _resources(context, computed) if len(computed) >= _FEWEST_TO_COMPARE else None,
        "stages": [_row(stage, same) for stage in Stage if (same := [each for each in tries if each.stage == stage])],
        "tries": context.facts.tries,
    }
    return Section("tasks", "Tasks: timeline and resources", "tasks.html.j2", data)


def _timeline(context: ReportContext, tries: Sequence[Try]) -> dict[str, str]:
    from epydrop_stages.outputs.report.figures.timeline import timeline_chart  # noqa: PLC0415 - matplotlib is slow

    failed = sum(each.failed for each in tries)
    alt_text = f"timeline of {len(tries)} tries of tasks, {failed} of which failed"
    return context.figures.draw("timeline", alt_text, timeline_chart(tries))


def _resources(context: ReportContext, computed: Sequence[Try]) -> dict[str, str]:
    from epydrop_stages.outputs.report.figures.timeline import resources_chart  # noqa: PLC0415 - matplotlib is slow

    drawing = resources_chart(computed, context.experiment.run.stages.runner.memory_mib)
    alt_text = f"wall time, processor use and peak memory of {len(computed)} runner tasks"
    return context.figures.draw("resources", alt_text, drawing)


def _row(stage: Stage, tries: Sequence[Try]) -> dict[str, Any]:
    done = [each for each in tries if not each.failed]
    wall = np.array([each.wall for each in done] or [0.0])
    peak = np.array([each.peak_mib for each in done] or [0.0])
    return {
        "stage": str(stage),
        "tries": len(tries),
        "failed": len(tries) - len(done),
        "wall": [float(np.quantile(wall, level)) for level in (0.5, 0.95, 1.0)],
        "wall_total": float(wall.sum()),
        "cpu_total": sum(each.cpu for each in done),
        "peak": [float(np.quantile(peak, level)) for level in (0.5, 0.95, 1.0)],
    }
