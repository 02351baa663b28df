"""What the package only warns of: simulations and projections that failed, and that it goes on without."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from epydrop_stages.suites.epymodelingsuite.package import NAME

_FAILED = "Simulation failed"


@dataclass
class Warned:
    """The warnings of a block, in their order."""

    messages: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Those of them that tell of a simulation that failed."""
        return [message for message in self.messages if message.startswith(_FAILED)]


@contextmanager
def listening() -> Iterator[Warned]:
    """Collects what the package warns of inside the block."""
    warned = Warned()
    handler = _Collector(warned)
    logger = logging.getLogger(NAME)
    logger.addHandler(handler)
    try:
        yield warned
    finally:
        logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, warned: Warned) -> None:
        super().__init__(logging.WARNING)
        self._warned = warned

    def emit(self, record: logging.LogRecord) -> None:
        self._warned.messages.append(record.getMessage())
