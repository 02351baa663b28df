"""Collects the package's warnings: it logs failed simulations and projections, and continues without them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from epydrop_stages.suites.epymodelingsuite.package import NAME

_FAILED = "Simulation failed"  # how the package begins the warning; it gives no other sign of the failure


@dataclass
class PackageWarnings:
    """The warnings logged within a block, in order."""

    messages: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """The warnings about failed simulations."""
        return [message for message in self.messages if message.startswith(_FAILED)]


@contextmanager
def package_warnings() -> Iterator[PackageWarnings]:
    """Collect what the package logs as a warning or worse within the block."""
    warned = PackageWarnings()
    handler = _Collector(warned)
    logger = logging.getLogger(NAME)
    logger.addHandler(handler)
    try:
        yield warned
    finally:
        logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, warned: PackageWarnings) -> None:
        super().__init__(logging.WARNING)
        self._warned = warned

    def emit(self, record: logging.LogRecord) -> None:
        self._warned.messages.append(record.getMessage())
