"""Records that stages write for other programs: manifest, errors, telemetry, refusals, completion.

Written by the stages, read by the functions; each is one small JSON object with a format version.
"""

from __future__ import annotations

import hashlib
import re
import traceback as tracebacks
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage

_STRICT = {"extra": "forbid"}
_MAX_TRACEBACK = 20_000  # characters; enough for any real one, and a digest of 200 stays under 4 MB


@dataclass(frozen=True)
class Manifest:
    """What the builder made. Written last, so that its presence means that everything else exists.

    ``locations`` maps each location to the half-open range of its task indices.
    """

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    run_id: str
    tasks: int
    locations: dict[str, tuple[int, int]]
    digests: dict[str, str] = field(default_factory=dict)  # object name -> sha256 of its content
    versions: dict[str, str] = field(default_factory=dict)  # of python, epydrop, and the suite's packages
    name: str = ""  # the object that it was signed for
    signature: str = ""  # key id and HMAC, which those verify who hold the key
    format: int = 1


@dataclass(frozen=True)
class PinnedCommit:
    """The commit that ``ref`` of the forecast repository pointed to when the run's first builder resolved it."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    repo: str
    ref: str
    commit: str
    run_id: str = ""
    name: str = ""  # this and the signature as in the manifest
    signature: str = ""
    format: int = 1


@dataclass(frozen=True)
class RecordedProblem:
    """One problem with an input, as in ``errors.Problem``."""

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class ErrorRecord:
    """Why one try of one task ended with a non-zero exit code. ``index`` counts within the run."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    run_id: str
    stage: Stage
    attempt: int
    index: int
    retry: int
    exit_code: int
    type: str
    message: str
    traceback: str
    fingerprint: str
    host: str = ""
    peak_memory_mib: float = 0.0
    problems: tuple[RecordedProblem, ...] = ()
    started: float = 0.0  # seconds since 1970
    wall_seconds: float = 0.0
    format: int = 1


@dataclass(frozen=True)
class Refusal:
    """The results that the output stage could not use: index -> the reason."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    run_id: str
    reasons: dict[int, str]
    format: int = 1

    @property
    def indices(self) -> IndexSet:
        """Which results must be made again."""
        return IndexSet.of(self.reasons)


@dataclass(frozen=True)
class Telemetry:
    """Resource usage of one try of one task: seconds, MiB and bytes."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    run_id: str
    stage: Stage
    attempt: int
    index: int
    retry: int
    started: float  # seconds since 1970
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    bytes_in: int
    bytes_out: int
    host: str = ""
    exit_code: int = 0
    skipped: bool = False  # a valid result existed already
    format: int = 1


@dataclass(frozen=True)
class Complete:
    """The last object of a set of outputs: name -> sha256 of every other object in its folder."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    run_id: str
    attempt: int
    files: dict[str, str]
    missing: IndexSet = field(default_factory=IndexSet)
    quality: str = ""  # the worst of the checks in quality.json: 'pass', 'warn' or 'fail'
    name: str = ""  # this and the signature as in the manifest
    signature: str = ""
    format: int = 1


def fingerprint_of(error: BaseException) -> str:
    """Twelve hex digits that group failures with the same cause.

    Made of the type, the functions on the way to it and the message without its numbers, so that
    neither a task's own values nor a shifted line split one cause into many.
    """
    return fingerprint(type(error).__qualname__, tracebacks.extract_tb(error.__traceback__), str(error))


def fingerprint(kind: str, frames: Iterable[tracebacks.FrameSummary], message: str) -> str:
    """The fingerprint of a failure of this type with this stack, outermost call first."""
    calls = [f"{PurePath(frame.filename).name}:{frame.name}" for frame in frames]
    without_numbers = re.sub(r"\d+(\.\d+)?([eE][-+]?\d+)?", "#", message)
    return hashlib.sha256("\n".join([kind, *calls, without_numbers]).encode()).hexdigest()[:12]


def traceback_of(error: BaseException) -> str:
    """The traceback as Python prints it; a very long one loses its middle."""
    return shortened("".join(tracebacks.format_exception(error)))


def shortened(text: str) -> str:
    """The text of an error record's traceback: a very long one loses its middle."""
    if len(text) <= _MAX_TRACEBACK:
        return text
    half = _MAX_TRACEBACK // 2
    return f"{text[:half]}\n  ... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
