"""The package's output generator, asked for one result at a time: name -> bytes, as it wants them stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from epydrop.errors import EpydropError
from epydrop_stages.suites.epymodelingsuite.differences import answerable, with_dates
from epydrop_stages.suites.epymodelingsuite.work import CALIBRATION, Made

_log = logging.getLogger("epydrop.stages.epymodelingsuite")

_ARGUMENTS = {"simulation": "simulations", CALIBRATION: "calibrations"}
_PIECES = ("compartments", "transitions")

Parts = Iterable[tuple[str, Any]]


@dataclass
class Generated:
    """Files by name, and what the package could not make: the part of the output configuration -> why."""

    files: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Generator:
    """Asks for what one output configuration wants.

    If the package fails over it, it is asked in other words, and then for each part alone, so that one defect costs
    one table, not all. What had to be done for one result is done at once for those after it.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._ways: list[Callable[[Any, str], Parts]] = [self._plainly, self._in_other_words, self._in_parts]

    def of(self, made: Made) -> Generated:
        """Everything for one result. Raises EpydropError if no part can be made."""
        output = with_dates(made.output) if made.kind == CALIBRATION else made.output
        while True:
            way = self._ways[0]
            found = _made(output, made.kind, way(output, made.kind))
            if not found.left_out or (found.files and way == self._in_parts):
                return found
            if len(self._ways) == 1:
                reasons = "; ".join(f"{name}: {reason}" for name, reason in found.left_out.items())
                raise EpydropError(f"the package could make no output ({reasons})")
            self._ways = self._ways[1:]

    def _plainly(self, output: Any, kind: str) -> Parts:  # noqa: ARG002 - one signature for all ways
        return [("everything", self._config)]

    def _in_other_words(self, output: Any, kind: str) -> Parts:
        return [("everything", _phrased(self._config, output, kind))]

    def _in_parts(self, output: Any, kind: str) -> Parts:
        return ((name, _phrased(part, output, kind)) for name, part in _parts(self._config))


def _phrased(config: Any, output: Any, kind: str) -> Any:
    return answerable(config, output) if kind == CALIBRATION else config


def _made(output: Any, kind: str, parts: Parts) -> Generated:
    """What the package makes of each of these parts."""
    found = Generated()
    for name, part in parts:
        try:
            found.files.update(_asked(output, kind, part))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told, beside the tables or by EpydropError
            _log.debug("%s failed", name, exc_info=True)
            found.left_out[name] = f"{type(error).__name__}: {error}"
    return found


def _asked(output: Any, kind: str, config: Any) -> dict[str, bytes]:
    from epymodelingsuite.dispatcher import dispatch_output_generator  # noqa: PLC0415 - see package.py

    return dict(files_of(dispatch_output_generator(**{_ARGUMENTS[kind]: [output], "output_config": config})))


def files_of(found: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Name -> bytes, from what the package returns: bytes under a name, or in newer versions a list of objects."""
    for key, value in found.items():
        if isinstance(value, bytes):
            yield key, value
            continue
        for item in value:
            if isinstance(item.data, bytes):
                yield item.name, item.data
            else:
                _log.warning("%s is left out: it is a %s, not a file", item.name, type(item.data).__name__)


def _parts(config: Any) -> Iterator[tuple[str, Any]]:
    """The configuration in pieces, each with every other section switched off."""
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
