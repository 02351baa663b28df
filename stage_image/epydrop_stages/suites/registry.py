"""The suites and their modules. A new suite is its folder, one line here, and one in the experiment's schema.

The schema (``SECTIONS_OF`` in ``epydrop.experiment.schema``) says which sections a suite reads, because the functions
validate an experiment without any suite installed; a test compares both lists.
"""

from __future__ import annotations

import importlib
from typing import cast

from epydrop.errors import BadInput, Problem
from epydrop_stages.contract.suite import Suite

SUITES: dict[str, str] = {
    "epydemix": "epydrop_stages.suites.epydemix",
    "epymodelingsuite": "epydrop_stages.suites.epymodelingsuite",
}
"""Name in the experiment -> module that implements ``contract.suite.Suite``."""


def suite_named(name: str) -> Suite:
    """The suite with that name. Raises BadInput if there is none."""
    if name not in SUITES:
        message = f"there is no suite {name!r} here; known are {', '.join(sorted(SUITES))}"
        raise BadInput(Problem(message, path=("suite",)))
    return cast("Suite", importlib.import_module(SUITES[name]))


def preload() -> None:
    """Import every suite, so that a process forked from this one starts its task at once.

    What a suite imports at the top of its module is shared by all tasks; what is optional, or starts threads, it
    imports inside its functions.
    """
    for name in SUITES:
        suite_named(name)
