"""The conditions of the table's rows: a run and the facts about it, asked as one question each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from epydrop.core.attempts import last_causes, may_try_again
from epydrop.core.causes import Cause, Retrying
from epydrop.core.events import CancelRequested, Kick, OutputRequested, RetryRequested, RunEvent
from epydrop.core.jobs import JobState, JobView
from epydrop.core.observed_facts import MAX_RECORDS, Facts
from epydrop.core.phases import Phase
from epydrop.core.run import Attempt, Retry, Run
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage

GONE_AFTER = timedelta(minutes=15)  # longer than a get can lag behind a create, and than any function call can live
ALIKE_FAILURES = 20  # when this many fail alike and none succeeds, the rest would fail too


@dataclass(frozen=True)
class Conditions:
    """The inputs of ``decide``: the run with the observed state of its job, the event, the facts and the time."""

    run: Run
    event: RunEvent
    facts: Facts
    now: datetime

    @cached_property
    def attempt(self) -> Attempt:
        """The current attempt; an open run always has one."""
        attempt = self.run.current
        if attempt is None:
            raise AssertionError(f"run {self.run.run_id} is {self.run.phase} and has no attempt")
        return attempt

    @property
    def job(self) -> JobView | None:
        """The job of the current attempt, as observed."""
        return self.facts.job

    # -- the job ---------------------------------------------------------------------------------

    @property
    def was_never_seen(self) -> bool:
        """The job that should exist has never been observed: its submit may have been lost."""
        return self.job is None and not self.attempt.uid

    @property
    def is_gone(self) -> bool:
        """The job was first observed long enough ago that its absence means that somebody deleted it."""
        recorded = self.attempt.uid_recorded
        return self.job is None and recorded is not None and self.now - recorded > GONE_AFTER

    @property
    def is_unreadable(self) -> bool:
        """The job was observed recently and cannot be found now, which is probably a lagging read."""
        return self.job is None and bool(self.attempt.uid) and not self.is_gone

    @property
    def has_ended(self) -> bool:
        """No task of the attempt can run any more."""
        return self.is_gone or (self.job is not None and self.job.state.is_ended)

    @property
    def is_live(self) -> bool:
        """The job exists and has not ended."""
        return self.job is not None and not self.job.state.is_ended

    @property
    def is_being_cancelled(self) -> bool:
        """The job is live, but is being cancelled or deleted."""
        leaving = (JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS)
        return self.job is not None and self.job.state in leaving

    @property
    def is_at_rest(self) -> bool:
        """No job of the run is live or could still appear."""
        attempt = self.run.current
        if self.is_live:
            return False
        if attempt is None or self.has_ended or attempt.ended is not None:
            return True
        if self.facts.refusal:  # nobody may look: a call that died may have submitted the job before it was refused
            return False
        # Until the run was closed, checks submitted the job again; the call of the last one may still be on its way.
        return self.was_never_seen and self.now - max(attempt.begun, self.run.closed or attempt.begun) > GONE_AFTER

    @property
    def was_cancelled_by_someone(self) -> bool:
        """The job was cancelled directly in Batch, not by a kick."""
        return self.job is not None and self.job.state is JobState.CANCELLED

    @property
    def is_stuck(self) -> bool:
        """The job has waited for machines, or for its submit to succeed, longer than ``max_wait``."""
        since = self._waiting_since
        return since is not None and (self.now - since).total_seconds() > self.run.plan.max_wait

    @property
    def _waiting_since(self) -> datetime | None:
        if self.was_never_seen:
            return self.attempt.begun
        if self.job is not None and self.job.state.is_waiting:
            return self.job.created
        return self.attempt.idle_since

    @property
    def fails_alike(self) -> bool:
        """At least ``ALIKE_FAILURES`` tasks failed, all for one reason that no attempt can fix, and none succeeded."""
        if self.job is None or not self.is_live or len(self.facts.failures) != 1:
            return False
        counts, group = self.job.counts, self.facts.failures[0]
        if counts.failed < ALIKE_FAILURES or counts.succeeded or not group.fingerprint:
            return False
        recorded = min(counts.failed, MAX_RECORDS)  # a task that was preempted or killed leaves no record
        return group.count >= recorded and group.cause.retry is Retrying.A_CHANGE

    # -- the product -----------------------------------------------------------------------------

    @property
    def missing(self) -> IndexSet:
        """The indices whose results do not exist."""
        return self.run.missing if self.facts.missing is None else self.facts.missing

    @property
    def has_every_result(self) -> bool:
        """No result is missing."""
        return self.facts.missing is not None and not self.facts.missing

    @property
    def lacks_required_location(self) -> bool:
        """The builder made no task for a location that the experiment requires."""
        manifest = self.facts.manifest
        return manifest is not None and not set(self.run.plan.required) <= set(manifest.locations)

    @cached_property
    def again(self) -> IndexSet:
        """The missing indices that another attempt of the runner may produce."""
        return may_try_again(self.run, Stage.RUNNER, last_causes(self.run, self.missing))

    @property
    def stage_may_pass(self) -> bool:
        """The single task of this stage may succeed in another attempt."""
        return bool(may_try_again(self.run, self.attempt.stage, self.attempt.causes))

    @property
    def is_enough(self) -> bool:
        """The existing results meet ``min_success``, overall and for each required location by itself."""
        least = self.run.plan.min_success
        spans = [(0, self.run.tasks or 0), *self.run.locations.values()]
        return all(
            (stop - start) - len(self.missing & IndexSet(((start, stop),))) >= least * (stop - start)
            for start, stop in spans
            if stop > start
        )

    @property
    def input_is_wrong(self) -> bool:
        """The stage exited with the code for bad input."""
        return Cause.BAD_INPUT in self.attempt.causes

    # -- kicks -----------------------------------------------------------------------------------

    @property
    def kick_id(self) -> str:
        """The id of the event's kick, or of the pending retry; empty if there is neither."""
        if isinstance(self.event, Kick):
            return self.event.kick_id
        return self.run.pending.kick_id if self.run.pending else ""

    @property
    def is_known_kick(self) -> bool:
        """The kick was carried out by an earlier delivery."""
        return isinstance(self.event, Kick) and self.run.knows(self.event.kick_id)

    @property
    def is_stale_kick(self) -> bool:
        """The kick was sent before one that counts: what a person sent last wins, in whatever order kicks arrive."""
        last = self.run.kick_sent
        return isinstance(self.event, Kick) and last is not None and self.event.published < last

    @property
    def is_cancel(self) -> bool:
        """A person wants the run to end."""
        return isinstance(self.event, CancelRequested)

    @property
    def is_output_request(self) -> bool:
        """A person wants another set of outputs."""
        return isinstance(self.event, OutputRequested)

    @property
    def output_config(self) -> dict[str, object]:
        """The configuration of the outputs that this event asks for."""
        return self.event.config if isinstance(self.event, OutputRequested) else {}

    @property
    def may_publish(self) -> bool:
        """There are enough results to make outputs from."""
        attempt = self.run.current
        return attempt is not None and attempt.stage is Stage.OUTPUT and not self.facts.refused and self.is_enough

    @property
    def asked_retry(self) -> Retry | None:
        """The retry that this event asks for."""
        if not isinstance(self.event, RetryRequested):
            return None
        return Retry(self.event.kick_id, self.event.from_stage or "missing", self.event.changes)

    @property
    def retry(self) -> Retry | None:
        """The retry to take up: that of the event, or else the pending one."""
        return self.asked_retry or self.run.pending

    @property
    def can_resume(self) -> bool:
        """There is a retry to take up, and it has something to do."""
        retry = self.retry
        if retry is None or self.run.current is None or self.run.phase is Phase.REJECTED:
            return False
        has_gaps = self.run.phase is Phase.SUCCEEDED and bool(self.run.missing)
        return retry.scope != "missing" or has_gaps or self.run.phase in (Phase.FAILED, Phase.CANCELLED)

    @property
    def next_run(self) -> Run:
        """The run with its missing indices as observed."""
        return replace(self.run, missing=self.missing)
