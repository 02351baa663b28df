"""One line a record: JSON for Cloud Logging, plain words for a person; each carries the run it speaks of."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

_context: ContextVar[dict[str, str]] = ContextVar("epydrop_log_context", default={})  # noqa: B039 - never mutated


@contextmanager
def log_context(**labels: str) -> Iterator[None]:
    """Adds these labels (run_id, stage, attempt ...) to every record logged inside the block."""
    token = _context.set({**_context.get(), **labels})
    try:
        yield
    finally:
        _context.reset(token)


class _JsonFormatter(logging.Formatter):
    """The structured form that Cloud Logging reads from standard output."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        return json.dumps(
            {
                "severity": record.levelname,
                "message": message,
                "logging.googleapis.com/labels": _context.get(),
            },
            ensure_ascii=False,
        )


class _PlainFormatter(logging.Formatter):
    """Time, level and sentence."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")


def set_up_logs(*, as_json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends the ``epydrop`` logger's records to the stream (standard error unless given), once."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _PlainFormatter())
    logger = logging.getLogger("epydrop")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
