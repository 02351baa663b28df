"""What the sections of one experiment must agree on: which of them belong together, and which shut others out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from epydrop.experiment import forecasts
from epydrop.experiment.problems import Finding

_OF_EPYDEMIX = ("model", "data", "scenarios", "tasks", "outputs")
_OF_EPYMODELINGSUITE = ("config",)


def contradictions(suite: str, document: Mapping[str, Any], changed: Collection[str]) -> Iterator[Finding]:
    """Everything that cannot go together; ``changed`` are the sections that say anything but the default."""
    foreign, other = (_OF_EPYMODELINGSUITE, "epymodelingsuite") if suite == "epydemix" else (_OF_EPYDEMIX, "epydemix")
    for name in foreign:
        if name in changed:
            yield Finding(f"'{name}' belongs to the suite '{other}', and this is '{suite}'", at=(name,))
    if suite == "epydemix":
        if document["model"] is None:
            yield Finding("'model' is missing")
        else:
            yield from forecasts.contradictions(document, document["model"])
