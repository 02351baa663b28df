"""Log records, one per line: JSON for Cloud Logging, plain text for people. Each is labelled with its run."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-")
_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})(?:/(\d{1,20}))?", re.ASCII)
_SPECIAL = {"trace": "logging.googleapis.com/trace", "span": "logging.googleapis.com/spanId"}

_context: ContextVar[dict[str, str]] = ContextVar("epydrop_log_context", default={})  # noqa: B039 - never mutated


@contextmanager
def log_context(**labels: str) -> Iterator[None]:
    """Adds these labels (run_id, stage, attempt, ...) to every record that is logged inside the block."""
    token = _context.set({**_context.get(), **labels})
    try:
        yield
    finally:
        _context.reset(token)


def measured(**values: str | float) -> dict[str, object]:
    """The ``extra`` of a log call that adds these fields to the JSON record, for log-based metrics."""
    return {"measured": values}


def trace_of(traceparent: str, cloud_trace: str, project: str) -> dict[str, str]:
    """Trace and span of a request, for ``log_context``, from W3C's header or Google's older one; {} without either.

    ``traceparent`` is ``00-TRACE-SPAN-FLAGS`` (w3.org/TR/trace-context), ``X-Cloud-Trace-Context`` is
    ``TRACE/SPAN;o=OPTIONS`` with the span as a decimal number (docs.cloud.google.com/trace/docs/trace-context).
    """
    match = _TRACEPARENT.match(traceparent)
    if match:
        return {"trace": f"projects/{project}/traces/{match[1]}", "span": match[2]}
    match = _CLOUD_TRACE.match(cloud_trace)
    if match:
        span = {"span": f"{int(match[2]):016x}"} if match[2] else {}
        return {"trace": f"projects/{project}/traces/{match[1]}", **span}
    return {}


class _JsonFormatter(logging.Formatter):
    """The JSON that Cloud Logging parses from standard output."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        labels = dict(_context.get())
        fields = {special: labels.pop(name) for name, special in _SPECIAL.items() if name in labels}
        return json.dumps(
            {
                "severity": record.levelname,
                "message": message,
                "logging.googleapis.com/labels": labels,
                **fields,
                **getattr(record, "measured", {}),
            },
        )


class _PlainFormatter(logging.Formatter):
    """Time, level and message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")


def log_latency(sent: object) -> None:
    """Logs the seconds since an event was sent, a datetime or RFC 3339 text; does nothing for any other value."""
    try:
        moment = sent if isinstance(sent, datetime) else datetime.fromisoformat(str(sent))
        seconds = (datetime.now(UTC) - moment).total_seconds()
    except (TypeError, ValueError):
        return
    logging.getLogger(__name__).info("done", extra=measured(latency_seconds=round(seconds, 3)))


def set_up_logs(*, as_json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends the ``epydrop`` logger's records to ``stream``, by default standard error; replaces earlier handlers."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _PlainFormatter())
    logger = logging.getLogger("epydrop")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
