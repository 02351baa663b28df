"""What must hold after every step, and at the end."""

from __future__ import annotations

import json
from collections import defaultdict

from epydrop.core.phases import Phase
from epydrop.core.run import HistoryEntry, Run
from epydrop.core.table import TABLE
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.serialization import from_json, to_json
from epydrop.formats.stage_records import Complete
from simulation import stages
from simulation.batch import Job
from simulation.people import SentKick
from simulation.stores import MemoryObjects, MemoryRuns
from simulation.timeline import START, Timeline

ARROWS = {arrow for row in TABLE for arrow in row.arrows}
WAKES = {"RetryRequested", "OutputRequested"}  # what may change a run that has ended
ROWS = {row.name for row in TABLE} | {"drop-valid", "drop-invalid"}

FAULTS_CEASE = 4 * 3600.0  # seconds after the start; nothing goes wrong any more
BILL_ENDS_WITHIN = 1800.0  # seconds after the answer to a cancel, once faults have ceased


class Violation(BaseException):
    """Something happened that must never happen. Not an Exception, so that the service cannot handle it."""


def demand(holds: object, what: str) -> None:
    """Raise Violation unless it holds."""
    if not holds:
        raise Violation(what)


class Checks:
    """Looks at each new job and each saved run, and remembers what the end is judged by."""

    def __init__(self, timeline: Timeline, runs: MemoryRuns, stores: dict[str, MemoryObjects]) -> None:
        self.jobs: dict[str, Job] = {}  # of the simulated Batch
        self.notified: dict[str, set[str]] = defaultdict(set)  # run -> the phases that notifications told of
        self._timeline = timeline
        self._runs = runs
        self._stores = stores
        self._opened: dict[str, float] = {}  # when a run was last saved in an open phase
        self._created: dict[str, list[Job]] = defaultdict(list)  # all jobs of a run, also deleted ones
        self._absent: dict[tuple[str, str], IndexSet] = {}  # run, outputs -> results that did not exist when they began

    # -- after every step ------------------------------------------------------------------------

    def new_job(self, job: Job) -> None:
        """A job is about to begin."""
        orders, stored = job.orders, self._runs.load(job.orders.run_id)
        asked = [attempt.orders for attempt in stored.run.attempts] if stored else []
        demand(orders in asked, f"{job.spec.job_id} obeys orders that its run never asked for")
        others = [other for other in self._created[orders.run_id] if other.is_at_work]
        demand(job.spec.job_id not in self.jobs, f"a second job {job.spec.job_id} is created")
        demand(not others, f"{job.spec.job_id} begins while {[other.spec.job_id for other in others]} is at work")
        # A call that stalled before its submit makes anew a job that somebody has deleted; it skips what is there.
        is_anew = any(other.spec.job_id == job.spec.job_id for other in self._created[orders.run_id])
        self._created[orders.run_id].append(job)
        if orders.stage is Stage.RUNNER and not orders.overwrite and not is_anew:
            again = [index for index in orders.indices if stages.is_valid(job.store, orders, index)]
            demand(not again, f"{job.spec.job_id} computes the finished results {again} again")
        if orders.stage is Stage.OUTPUT:
            there = (stages.is_valid(job.store, orders, index) for index in orders.missing)
            self._absent[orders.run_id, orders.outputs] = IndexSet.of(
                index for index, valid in zip(orders.missing, there, strict=True) if not valid
            )

    def saved(self, before: Run | None, run: Run, entry: HistoryEntry) -> None:
        """A run is about to be saved."""
        demand(entry.serial == run.serial == (before.serial + 1 if before else 1), "the history has a gap")
        demand((entry.phase, entry.row in ROWS) == (run.phase, True), f"the history says {entry}")
        if before is not None and before.phase is not run.phase:
            demand((before.phase, run.phase) in ARROWS, f"{run.run_id} went from {before.phase} to {run.phase}")
            is_asked = before.pending or entry.event["kind"] in WAKES
            demand(before.phase.is_open or is_asked, f"{entry.event} changed {run.run_id}, which had ended")
        if run.phase.is_open:
            self._opened[run.run_id] = self._timeline.now
        if run.phase is Phase.SUCCEEDED and (before is None or before.phase is not Phase.SUCCEEDED):
            self._judge_success(run)

    def _judge_success(self, run: Run) -> None:
        store = self._stores[run.run_url]
        name = names.complete_name(run.published)
        demand(store.stat(name), f"{run.run_id} succeeded without outputs")
        complete = from_json(Complete, store.read(name), name)
        tasks = run.tasks or 0
        demand(complete.missing == run.missing, f"{name} misses {complete.missing}, the run says {run.missing}")
        demand(complete.files == {run.results: run.inputs}, f"{name} is of {complete.files}, not of {run.results}")
        demand(run.missing == self._absent[run.run_id, run.published], f"{name} leaves out results that are there")
        demand(len(run.missing) <= (1 - run.plan.min_success) * tasks, "too many results are missing")
        for location in run.plan.required:
            start, stop = run.locations[location]
            gaps = len(run.missing & IndexSet(((start, stop),)))
            demand(gaps <= (1 - run.plan.min_success) * (stop - start), f"{location} is missing, which is required")

    # -- at the end ------------------------------------------------------------------------------

    def end(self, kicks: list[SentKick], trigger: MemoryObjects) -> None:
        """All faults have ceased long ago, and nothing is left to do."""
        for job in self.jobs.values():
            demand(not job.is_live, f"{job.spec.job_id} is live, and nobody watches it")
        for kick in kicks:
            demand(trigger.stat(f"{kick.answer}.md"), f"the {kick.verb} of {kick.run_id} was never answered")
        for run_id, stored in self._runs.runs.items():
            self._judge_end(stored.run, trigger)
            self._judge_last_kick(stored.run, [kick for kick in kicks if kick.run_id == run_id], trigger)

    def _judge_end(self, run: Run, trigger: MemoryObjects) -> None:
        demand(not run.phase.is_open, f"{run.run_id} never ended: {run.reason}")
        demand(run.phase in self.notified[run.run_id], f"nobody was notified that {run.run_id} is {run.phase}")
        demand(run.told == run.news and not run.pending, f"{run.run_id} has something left to do")
        entries = list(self._runs.history(run.run_id))
        demand([entry.serial for entry in entries] == list(range(1, run.serial + 1)), "the history has a gap")
        reply = json.loads(trigger.read(names.reply_name(run.dropped.name, run.run_id, "json")))
        said = (reply["phase"], reply["problems"], reply["reason"])
        demand(said == (run.phase, list(run.problems), run.reason), f"the reply of {run.run_id} says {said}")
        demand(from_json(Run, to_json(run), run.run_id) == run, f"{run.run_id} changes when it is stored")
        if run.phase is Phase.REJECTED:
            demand(run.problems, f"{run.run_id} was rejected without a reason")

    def _judge_last_kick(self, run: Run, kicks: list[SentKick], trigger: MemoryObjects) -> None:
        """A cancel that was sent last ends the run: once it is answered, the run is never open again."""
        kicks = [kick for kick in kicks if kick.verb in ("cancel", "retry", "output")]
        last = max(kicks, key=lambda kick: kick.sent, default=None)
        if last is not None and last.verb == "cancel":
            answer = trigger.stat(f"{last.answer}.md")
            assert answer is not None
            opened, answered = self._opened.get(run.run_id, 0.0), (answer.created - START).total_seconds()
            demand(opened <= answered, f"{run.run_id} is at work {opened - answered:.0f} s after the last cancel")
            for job in self._created[run.run_id]:
                late = job.ended - max(answered, FAULTS_CEASE)
                demand(late <= BILL_ENDS_WITHIN, f"{job.spec.job_id} costs money {late:.0f} s after the last cancel")
