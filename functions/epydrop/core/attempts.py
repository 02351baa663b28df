"""The next attempt of a stage: which task indices run again, with which resources and orders.

An index may try again when its last cause may pass; an attempt is sized for its neediest index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from epydrop.core.causes import Cause, Retrying
from epydrop.core.run import Attempt, Run
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders, Resources
from epydrop.machine_types import with_more_memory

MAX_FREE_ATTEMPTS = 10

_ONE = IndexSet.below(1)


def attempts_left(run: Run, stage: Stage) -> bool:
    """Whether the stage has an attempt left, counted from the last kick.

    Attempts lost only to preemption, or that never ran, are free; but only ten of them.
    """
    since_kick = [attempt for attempt in run.attempts[run.kicked_after :] if attempt.stage is stage]
    free = sum(1 for attempt in since_kick if attempt.causes and all(cause.is_free for cause in attempt.causes))
    paid = len(since_kick) - free + max(0, free - MAX_FREE_ATTEMPTS)
    return paid < run.plan.max_attempts


def last_causes(run: Run, wanted: IndexSet) -> dict[Cause, IndexSet]:
    """For each wanted index of the runner, the cause of its last failure.

    An index whose task ended well and whose result is not there counts as unavailable.
    """
    causes: dict[Cause, IndexSet] = {}
    rest = wanted
    for attempt in reversed(_attempts_of_this_round(run)):
        for cause, indices in attempt.causes.items():
            found = indices & rest
            if found:
                causes[cause] = causes.get(cause, IndexSet()) | found
                rest = rest - found
    if rest:
        causes[Cause.UNAVAILABLE] = causes.get(Cause.UNAVAILABLE, IndexSet()) | rest
    return causes


def may_try_again(run: Run, stage: Stage, causes: dict[Cause, IndexSet]) -> IndexSet:
    """The failed indices that may succeed in another attempt."""
    again = IndexSet()
    for cause, indices in causes.items():
        match cause.retry:
            case Retrying.NOTHING:
                again = again | indices
            case Retrying.MORE_MEMORY:
                again = again | _may_grow(run, stage, indices)
            case Retrying.A_CHANGE:
                pass
    return again


def next_attempt(
    run: Run,
    stage: Stage,
    now: datetime,
    *,
    indices: IndexSet = _ONE,
    overwrite: bool = False,
    kick_id: str = "",
) -> Attempt:
    """The next attempt of the stage, numbered after all its earlier ones in this run."""
    number = 1 + max((attempt.orders.attempt for attempt in run.attempts_of(stage)), default=0)
    outputs = names.outputs_folder(now, "" if number == 1 else str(number)) if stage is Stage.OUTPUT else ""
    orders = Orders(
        run_id=run.run_id,
        exp_id=run.exp_id,
        stage=stage,
        attempt=number,
        indices=indices,
        resources=_sized(run, stage, indices),
        parallelism=run.plan.max_parallelism if stage is Stage.RUNNER else 1,
        inputs=run.inputs,
        results=run.results,
        outputs=outputs,
        output_config=run.output_config if stage is Stage.OUTPUT else {},
        missing=run.missing if stage is Stage.OUTPUT else IndexSet(),
        causes=_why_missing(run) if stage is Stage.OUTPUT else {},
        overwrite=overwrite or _was_refused(run, indices),
        labels=_labels(run, stage, number),
        kick_id=kick_id,
    )
    return Attempt(orders, begun=now)


def _why_missing(run: Run) -> dict[str, IndexSet]:
    return {str(cause): indices for cause, indices in last_causes(run, run.missing).items()}


def _was_refused(run: Run, indices: IndexSet) -> bool:
    """Whether an earlier attempt had to overwrite any of these results, because they were refused."""
    return any(
        attempt.orders.overwrite and attempt.orders.indices & indices for attempt in _attempts_of_this_round(run)
    )


def _attempts_of_this_round(run: Run) -> tuple[Attempt, ...]:
    return tuple(attempt for attempt in run.attempts_of(Stage.RUNNER) if attempt.orders.results == run.results)


def _starved(run: Run, stage: Stage, indices: IndexSet) -> Iterator[Resources]:
    """The resources of the last attempt since the last kick in which any of these indices ran out of memory."""
    for attempt in reversed(run.attempts[run.kicked_after :]):
        if attempt.stage is stage and attempt.causes.get(Cause.OUT_OF_MEMORY, IndexSet()) & indices:
            yield attempt.orders.resources
            return


def _may_grow(run: Run, stage: Stage, indices: IndexSet) -> IndexSet:
    """The indices for which a machine with more memory exists than the one on which they last ran out of it."""
    grown, rest = IndexSet(), indices
    for attempt in reversed(run.attempts[run.kicked_after :]):
        if attempt.stage is stage:
            starved = attempt.causes.get(Cause.OUT_OF_MEMORY, IndexSet()) & rest
            rest = rest - starved
            if starved and with_more_memory(attempt.orders.resources):
                grown = grown | starved
    return grown


def _sized(run: Run, stage: Stage, indices: IndexSet) -> Resources:
    """The resources of the plan, with memory for the neediest index; on demand once Spot lost an index twice."""
    resources = run.plan.stages[stage]
    grown = [with_more_memory(starved) for starved in _starved(run, stage, indices)]
    earlier = [
        attempt.orders.resources
        for attempt in run.attempts[run.kicked_after :]
        if attempt.stage is stage and attempt.orders.indices & indices
    ]
    for candidate in (*filter(None, grown), *earlier):
        if candidate.memory_mib > resources.memory_mib:
            resources = replace(resources, memory_mib=candidate.memory_mib, machine_type=candidate.machine_type)
    if resources.spot and _preempted_often(run, stage, indices):
        resources = replace(resources, spot=False)
    return resources


def _preempted_often(run: Run, stage: Stage, indices: IndexSet) -> bool:
    preempted = [attempt.causes.get(Cause.PREEMPTED, IndexSet()) & indices for attempt in run.attempts_of(stage)]
    often = IndexSet()
    once = IndexSet()
    for lost in preempted:
        often = often | (once & lost)
        once = once | lost
    return bool(often)


def _labels(run: Run, stage: Stage, number: int) -> dict[str, str]:
    """The labels of a job and its VMs, made legal for Google so that no label makes a submit fail."""
    labels = {
        **run.plan.labels,
        "component": "epydrop",
        "managed-by": "epydrop",
        "stage": stage,
        "exp_id": run.exp_id,
        "run_id": run.run_id,
        "attempt": str(number),
    }
    return {name: names.label_value(value) for name, value in labels.items()}
