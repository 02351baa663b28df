"""How to reproduce the run, and what it was made from."""

from __future__ import annotations

from epydrop_stages.outputs.report.context import ReportContext, Section


def section(context: ReportContext) -> Section:
    """Always shown."""
    data = {
        "facts": context.facts,
        "seed": context.experiment.seed,
        "source": context.experiment.source,
        "model": context.model,
    }
    return Section("provenance", "Provenance", "provenance.html.j2", data)
