"""Decisions on made-up runs: the few words that the tests of the table share."""

from __future__ import annotations

from datetime import timedelta

from epydrop.core.causes import Cause
from epydrop.core.decide import Decision, decide
from epydrop.core.events import CancelRequested, CheckRequested
from epydrop.core.jobs import JobState
from epydrop.core.observed_facts import Facts, ManifestSeen
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from support.factories import NOW, RUN_ID, a_run, an_attempt, seen

CHECK = CheckRequested(RUN_ID)
ENDED = JobState.FAILED
DONE = JobState.SUCCEEDED
FOUR = IndexSet.below(4)
MANIFEST = ManifestSeen(4, {"here": (0, 2), "there": (2, 4)})


def decided(run: Run | None, facts: Facts, event: object = CHECK, at: object = NOW) -> Decision:
    """The decision, on a check unless another event is named."""
    return decide(run, event, facts, at)


def runner(*attempts: object, **changes: object) -> Run:
    """A run in its runner stage."""
    return a_run(Phase.RUNNER, *(attempts or (seen(an_attempt(Stage.RUNNER)),)), **changes)


def failed_tasks(**causes: str) -> dict[Cause, IndexSet]:
    """``preempted='0-1'`` as the facts have it."""
    return {Cause(cause): IndexSet.parse(text) for cause, text in causes.items()}


def kick(kind: type = CancelRequested, *, minutes_ago: float = 1, kick_id: str = "kick-1", **more: object) -> object:
    """A kick of this kind, sent a little while ago."""
    return kind(RUN_ID, kick_id, NOW - timedelta(minutes=minutes_ago), **more)
