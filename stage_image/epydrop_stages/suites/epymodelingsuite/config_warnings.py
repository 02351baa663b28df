"""Warnings about a valid configuration: keys that are not read, forecasts made with hindsight, outdated data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from epydrop.errors import BadInput
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.data_file import listed
from epydrop_stages.suites.epymodelingsuite.config_validation import read
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration
from epydrop_stages.suites.epymodelingsuite.observed_data import DataFile
from epydrop_stages.suites.epymodelingsuite.unknown_keys import unread


def config_warnings(configuration: Configuration, folder: Path) -> Iterator[str]:
    """One sentence each. Yields nothing for an invalid configuration, which the builder refuses."""
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
    """Date of the last fitted observation."""
    last: np.datetime64 = seen.dates[seen.fitted][-1]
    return last


def _hindsight(ends: dict[str, np.datetime64], flusight: Any) -> Iterator[str]:
    late = [code for code, end in ends.items() if flusight and end > np.datetime64(flusight.reference_date)]
    if late:
        yield (
            f"the hub file is for {flusight.reference_date}, but {listed(late)} {_were(late)} fitted to later weeks: "
            f"this is not a forecast, because the model has seen the weeks that it predicts"
        )


def _behind(ends: dict[str, np.datetime64]) -> Iterator[str]:
    newest = max(ends.values(), default=None)
    behind = [code for code, end in ends.items() if end != newest]
    if behind:
        yield f"the data of {listed(behind)} end earlier than the others', which reach {newest}"


def _were(codes: Collection[str]) -> str:
    return "was" if len(codes) == 1 else "were"
