"""From results to digests: read, verify, digest, in as many processes as there are cores, in the order of the tasks.

In memory are one point's results in each process, the bytes of those that come next, and as many digests ahead as
``workers`` allows. When there is only one core, or little to do, it all happens in this process.
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
from epydrop_stages.artifacts.metered_store import AtHand, CountedStore
from epydrop_stages.artifacts.signed_files import check_artifact, read_artifact
from epydrop_stages.artifacts.usage import Usage
from epydrop_stages.contract.suite import Finished, RunFacts
from epydrop_stages.stages.context import TaskContext, Told
from epydrop_stages.stages.points import Point
from epydrop_stages.stages.workers import Work, Workers
from epydrop_stages.suites.registry import suite_named

_FEW = 6  # points; to load the drawing code in every worker takes as long as to digest as many
_BYTES_AHEAD = 64 << 20  # of results that are read while those before are digested
_MIB_PER_WORKER = 1024  # the stage's code, a result and its figures


class ResultsRefused(EpydropError):
    """Some results are missing or bad; the record lists them all."""


@dataclass(frozen=True)
class _Question:
    """What a worker is asked: to digest a point, or only to look whether its results are sound."""

    point: Point
    only_check: bool

    def __str__(self) -> str:
        return str(self.point)


@dataclass(frozen=True)
class _Reply:
    """A digest, or the reason of each result that is missing or bad."""

    digest: Any = None
    refused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Digesting:
    """The work on one point; pickled on its way to a process that was not forked."""

    told: Told
    orders: Orders
    experiment: Experiment
    facts: RunFacts
    folder: Path

    def __call__(self, usage: Usage) -> Work:
        """In a worker: with a store of its own, for a connection cannot be shared."""
        store = CountedStore(open_store(self.told.run_url), usage)
        return self.with_context(TaskContext(self.told, self.orders, store, 0))

    def with_context(self, context: TaskContext) -> Work:
        """The work as a function of a question."""
        suite = suite_named(self.experiment.suite)

        def fetch(question: _Question) -> AtHand:
            names = (result_name(self.orders.results, line.index) for line in question.point.lines)
            return context.store.fetch(names, _BYTES_AHEAD)

        def answer(question: _Question, fetched: AtHand) -> _Reply:
            results, reasons = _looked_at(context, question, fetched)
            if reasons or question.only_check:
                return _Reply(refused=reasons)
            return _Reply(suite.digest(results, self.experiment, self.facts, self.folder))

        return Work(fetch, answer)


@contextmanager
def digesting(context: TaskContext, work: Digesting, points: Sequence[Point]) -> Iterator[Iterator[Any]]:
    """The digest of each point, in order, for as long as the block lasts.

    Workers are forked here and now, before whoever takes the digests loads what starts threads. From the first missing
    or bad result on nothing is handed over any more, but all the others are still looked at: at the end the refusal
    with every bad index is stored, and ResultsRefused is raised.
    """
    count = worker_count(work, len(points))
    if count == 1:
        yield _digests(context, points, work.with_context(context).answers)
        return
    with Workers(count, work, context.store.usage) as pool:
        yield _digests(context, points, pool.answers)


def _digests(
    context: TaskContext, points: Sequence[Point], answers: Callable[[Iterator[_Question]], Iterator[_Reply]]
) -> Iterator[Any]:
    reasons: dict[int, str] = {}
    questions = (_Question(point, only_check=bool(reasons)) for point in points)
    for reply in answers(questions):
        reasons.update(reply.refused)
        if not reasons:
            yield reply.digest
    if reasons:
        context.store.write(refused_name(context.orders.attempt), to_json(Refusal(context.orders.run_id, reasons)))
        first = next(iter(reasons.items()))
        raise ResultsRefused(f"{len(reasons)} results are missing or bad, the first: {first}")


def worker_count(work: Digesting, points: int) -> int:
    """How many processes: what cores, memory and points allow; 1 stands for this one alone."""
    if points < _FEW:
        return 1
    return max(1, min(work.told.cores or usable_cores(), work.orders.resources.memory_mib // _MIB_PER_WORKER, points))


def usable_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _looked_at(context: TaskContext, question: _Question, fetched: AtHand) -> tuple[list[Finished], dict[int, str]]:
    """The results, and what is wrong with them; once something is, the others are only verified."""
    results: list[Finished] = []
    reasons: dict[int, str] = {}
    for line in question.point.lines:
        name = result_name(context.orders.results, line.index)
        artifact = fetched, name, context.meta(Stage.RUNNER, line.index), context.told.keys
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
