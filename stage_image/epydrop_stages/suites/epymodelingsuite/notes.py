"""What a configuration may say and people may not mean: keys nobody reads, forecasts with hindsight, old data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from epydrop.errors import BadInput
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.data_file import listed
from epydrop_stages.suites.epymodelingsuite.checks import read
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration
from epydrop_stages.suites.epymodelingsuite.observed import DataFile
from epydrop_stages.suites.epymodelingsuite.unknown_keys import unread


def notes(configuration: Configuration, folder: Path) -> Iterator[str]:
    """One sentence each. What cannot be read is no note: the builder refuses it."""
    try:
        found = {part.kind: read(part) for part in configuration}
        for part in configuration:
            yield from unread(part, found[part.kind])
        if configuration.modelset and "calibration" in found:
            calibration = found["calibration"].modelset.calibration
            file = DataFile.open(configuration.modelset, calibration, folder)
            names = [name for name in found["calibration"].modelset.population_names if name != "all"]
            ends = {code: _last(seen) for code, seen in file.of(names).items()}
            yield from _hindsight(ends, found["output"].output.flusight_format)
            yield from _behind(ends)
    except BadInput:
        return


def _last(seen: Observations) -> np.datetime64:
    """The last observation that was fitted."""
    last: np.datetime64 = seen.dates[seen.fitted][-1]
    return last


def _hindsight(ends: dict[str, np.datetime64], flusight: Any) -> Iterator[str]:
    late = [code for code, end in ends.items() if flusight and end > np.datetime64(flusight.reference_date)]
    if late:
        yield (
            f"the hub file is for {flusight.reference_date}, and {listed(late)} {_were(late)} fitted to later weeks: "
            f"it is no forecast, but what the model makes of weeks that it has seen"
        )


def _behind(ends: dict[str, np.datetime64]) -> Iterator[str]:
    newest = max(ends.values(), default=None)
    behind = [code for code, end in ends.items() if end != newest]
    if behind:
        yield f"the data of {listed(behind)} end before those of the others, which reach {newest}"


def _were(codes: Collection[str]) -> str:
    return "was" if len(codes) == 1 else "were"
