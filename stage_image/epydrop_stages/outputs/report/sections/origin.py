"""Provenance: what gives the same numbers again."""

from __future__ import annotations

from epydrop_stages.outputs.report.material import Material, Section


def section(material: Material) -> Section:
    """Always there."""
    facts = material.facts
    data = {
        "facts": facts,
        "seed": material.experiment.seed,
        "source": material.experiment.source,
        "model": material.model,
    }
    return Section("provenance", "Provenance", "origin.html.j2", data)
