"""Calls the package's output generator for one result at a time; returns file name -> bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from epydrop.errors import EpydropError
from epydrop_stages.suites.epymodelingsuite.compatibility import answerable, with_dates
from epydrop_stages.suites.epymodelingsuite.work import CALIBRATION, PackageResult

_log = logging.getLogger("epydrop.stages.epymodelingsuite")

_ARGUMENTS = {"simulation": "simulations", CALIBRATION: "calibrations"}
_PIECES = ("compartments", "transitions")

Parts = Iterable[tuple[str, Any]]


@dataclass
class Generated:
    """``files``: name -> content. ``left_out``: part of the output configuration -> why it could not be made."""

    files: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Generator:
    """Generates the files of one output configuration.

    If the package fails, it is called with an equivalent configuration that it supports, then once for each section, so
    that one defect costs one table instead of all. The way that worked is used at once for the results after it.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._ways: list[Callable[[Any, str], Parts]] = [self._as_given, self._supported, self._by_section]

    def of(self, made: PackageResult) -> Generated:
        """All files of one result. Raises EpydropError if the package can make none of them."""
        output = with_dates(made.output) if made.kind == CALIBRATION else made.output
        while True:
            way = self._ways[0]
            found = _made(output, made.kind, way(output, made.kind))
            if not found.left_out or (found.files and way == self._by_section):
                return found
            if len(self._ways) == 1:
                reasons = "; ".join(f"{name}: {reason}" for name, reason in found.left_out.items())
                raise EpydropError(f"the package could make no output ({reasons})")
            self._ways = self._ways[1:]  # kept for the next results: they fail for the same reason

    def _as_given(self, output: Any, kind: str) -> Parts:  # noqa: ARG002 - all ways have the same signature
        return [("everything", self._config)]

    def _supported(self, output: Any, kind: str) -> Parts:
        return [("everything", _supported_config(self._config, output, kind))]

    def _by_section(self, output: Any, kind: str) -> Parts:
        return ((name, _supported_config(part, output, kind)) for name, part in sections_of(self._config))


def _supported_config(config: Any, output: Any, kind: str) -> Any:
    return answerable(config, output) if kind == CALIBRATION else config


def _made(output: Any, kind: str, parts: Parts) -> Generated:
    """The package's files for each of these parts."""
    found = Generated()
    for name, part in parts:
        try:
            found.files.update(_call(output, kind, part))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - reported as a finding or by EpydropError
            _log.debug("%s failed", name, exc_info=True)
            found.left_out[name] = f"{type(error).__name__}: {error}"
    return found


def _call(output: Any, kind: str, config: Any) -> dict[str, bytes]:
    from epymodelingsuite.dispatcher import dispatch_output_generator  # noqa: PLC0415 - see package.py

    return dict(files_of(dispatch_output_generator(**{_ARGUMENTS[kind]: [output], "output_config": config})))


def files_of(found: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """File name and content from the package's return value: bytes by name, or a list of objects in newer versions."""
    for key, value in found.items():
        if isinstance(value, bytes):
            yield key, value
            continue
        for item in value:
            if isinstance(item.data, bytes):
                yield item.name, item.data
            else:
                _log.warning("%s is left out: it is a %s, not a file", item.name, type(item.data).__name__)


def sections_of(config: Any) -> Iterator[tuple[str, Any]]:
    """Dotted name of each requested section, and an output configuration with that section only."""
    output = config.output
    sections = [name for name in type(output).model_fields if name != "meta"]

    def only(name: str, section: Any) -> Any:
        changes = {**dict.fromkeys(sections), name: section}
        return config.model_copy(update={"output": output.model_copy(update=changes)})

    for name in sections:
        section = getattr(output, name)
        if not section:
            continue
        pieces = [piece for piece in _PIECES if getattr(section, piece, None)]
        for piece in pieces:
            others = {other: False for other in pieces if other != piece}
            yield f"{name}.{piece}", only(name, section.model_copy(update=others))
        if not pieces:
            yield name, only(name, section)
