"""Turns results into digests: reads, verifies and digests them in one process per core, in the order of the tasks.

Memory holds one point's results per process, the bytes of the next point, and a few digests ahead (see ``workers``).
With one core, or few points, everything happens in this process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from epydrop.errors import EpydropError, IntegrityError, NotFound
from epydrop.experiment import Experiment
from epydrop.formats.names import Stage, refused_name, result_name
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import to_json
from epydrop.formats.stage_records import Refusal
from epydrop.stores import open_store
from epydrop_stages.artifacts.metered_store import MeteredStore, Prefetched
from epydrop_stages.artifacts.signed_files import check_artifact, read_artifact
from epydrop_stages.artifacts.usage import Usage
from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.contract.suite import Finished, RunFacts
from epydrop_stages.stages.context import TaskContext, TaskEnvironment
from epydrop_stages.stages.points import Point
from epydrop_stages.stages.workers import Work, Workers
from epydrop_stages.suites.registry import suite_named

_FEW = 6  # points; loading matplotlib in a worker takes as long as digesting this many
_BYTES_AHEAD = 64 << 20  # prefetched while the point before is digested
_MIB_PER_WORKER = 1024  # the code, one result and its figures


class ResultsRefused(EpydropError):
    """Some results are missing or bad; refused.json lists all of them, so that the runner repeats exactly these."""


@dataclass(frozen=True)
class _Question:
    """A request to a worker: digest a point, or only verify its results."""

    point: Point
    only_check: bool

    def __str__(self) -> str:
        return str(self.point)


@dataclass(frozen=True)
class _Reply:
    """A digest, or the reason for each missing or bad result."""

    digest: Any = None
    refused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Digesting:
    """The work on points; picklable, for workers that are spawned instead of forked."""

    environment: TaskEnvironment
    orders: Orders
    experiment: Experiment
    facts: RunFacts
    folder: Path

    def __call__(self, usage: Usage) -> Work:
        """The work in a worker process, with a store of its own: connections must not be shared between processes."""
        store = MeteredStore(open_store(self.environment.run_url), usage)
        return self.with_context(TaskContext(self.environment, self.orders, store, 0))

    def with_context(self, context: TaskContext) -> Work:
        """The work with the given store."""
        suite = suite_named(self.experiment.suite)

        def fetch(question: _Question) -> Prefetched:
            names = (result_name(self.orders.results, line.index) for line in question.point.lines)
            return context.store.prefetch(names, _BYTES_AHEAD)

        def answer(question: _Question, fetched: Prefetched) -> _Reply:
            results, reasons = _verified(context, question, fetched)
            if reasons or question.only_check:
                return _Reply(refused=reasons)
            return _Reply(suite.digest(results, self.experiment, self.facts, self.folder))

        return Work(fetch, answer)


@contextmanager
def digesting(context: TaskContext, work: Digesting, points: Sequence[Point]) -> Iterator[Iterator[Any]]:
    """An iterator over the digests of the points, in order, valid for the duration of the block.

    Workers are forked on entry, before the caller loads libraries that start threads. After the first missing or bad
    result no digest is yielded, but all other results are still verified; then refused.json with every bad index is
    stored and the iterator raises ResultsRefused.
    """
    count = worker_count(work, len(points))
    if count == 1:  # a process of its own would only cost memory
        yield _digests(context, points, work.with_context(context).answers)
        return
    with Workers(count, work, context.store.usage) as pool:
        yield _digests(context, points, pool.answers)


def _digests(
    context: TaskContext, points: Sequence[Point], answers: Callable[[Iterator[_Question]], Iterator[_Reply]]
) -> Iterator[Any]:
    reasons: dict[int, str] = {}
    # Lazy: a question that is asked after the first bad result asks for verification only.
    questions = (_Question(point, only_check=bool(reasons)) for point in points)
    heartbeat("waiting for the first digest")
    for reply in answers(questions):
        heartbeat("digesting results")
        reasons.update(reply.refused)
        if not reasons:
            yield reply.digest
    if reasons:
        context.store.write(refused_name(context.orders.attempt), to_json(Refusal(context.orders.run_id, reasons)))
        first = next(iter(reasons.items()))
        raise ResultsRefused(f"{len(reasons)} results are missing or bad, the first: {first}")


def worker_count(work: Digesting, points: int) -> int:
    """Number of worker processes that cores, memory and points allow; 1 means no workers."""
    if points < _FEW:
        return 1
    return max(
        1, min(work.environment.cores or usable_cores(), work.orders.resources.memory_mib // _MIB_PER_WORKER, points)
    )


def usable_cores() -> int:
    """Number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _verified(context: TaskContext, question: _Question, fetched: Prefetched) -> tuple[list[Finished], dict[int, str]]:
    """The results of a point, and the reason for each bad one; after the first bad one the others are only verified."""
    results: list[Finished] = []
    reasons: dict[int, str] = {}
    for line in question.point.lines:
        name = result_name(context.orders.results, line.index)
        artifact = fetched, name, context.meta(Stage.RUNNER, line.index), context.environment.keys
        try:
            if reasons or question.only_check:
                check_artifact(*artifact)
            else:
                results.append(Finished(line, read_artifact(*artifact)))
        except NotFound:
            reasons[line.index] = "missing"
        except IntegrityError as error:
            reasons[line.index] = str(error)
    return results, reasons
