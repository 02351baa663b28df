"""The suites: the one place that knows their names and their modules."""

from __future__ import annotations

import importlib
from typing import cast

from epydrop.errors import BadInput
from epydrop_stages.contract.suite import Suite

SUITES: dict[str, str] = {
    "epydemix": "epydrop_stages.suites.epydemix",
    "epymodelingsuite": "epydrop_stages.suites.epymodelingsuite",
}
"""Suite -> the module with its functions."""

WORK_AMONG_FILES = frozenset({"epymodelingsuite"})
"""Suites whose functions are all called in a folder with the files of the repository and the bundle, at every stage."""


def suite_named(name: str) -> Suite:
    """The suite of that name. Raises BadInput for a name that nobody registered."""
    if name not in SUITES:
        raise BadInput(f"there is no suite {name!r} here; known are {', '.join(sorted(SUITES))}")
    return cast("Suite", importlib.import_module(SUITES[name]))
