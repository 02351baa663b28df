"""A run and the facts about it, seen together: the truths that the rows of the table are made of. Pure."""

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

GONE_AFTER = timedelta(minutes=15)  # a list or get may lag behind a create; no function call lives this long
ALIKE_FAILURES = 20  # this many tasks failed alike and none came through: the rest would too


@dataclass(frozen=True)
class Conditions:
    """What ``decide`` looks at: the run with the news of its job noted, the event, the facts and the time."""

    run: Run
    event: RunEvent
    facts: Facts
    now: datetime

    @cached_property
    def attempt(self) -> Attempt:
        """The attempt at work; an open run always has one."""
        attempt = self.run.current
        if attempt is None:
            raise AssertionError(f"run {self.run.run_id} is {self.run.phase} and has no attempt")
        return attempt

    @property
    def job(self) -> JobView | None:
        """The attempt's job as it is now."""
        return self.facts.job

    # -- the job ---------------------------------------------------------------------------------

    @property
    def was_never_seen(self) -> bool:
        """The job that should exist was never seen: its submit may have been lost."""
        return self.job is None and not self.attempt.uid

    @property
    def is_gone(self) -> bool:
        """The job was there for so long that its absence means that somebody deleted it."""
        recorded = self.attempt.uid_recorded
        return self.job is None and recorded is not None and self.now - recorded > GONE_AFTER

    @property
    def is_unreadable(self) -> bool:
        """The job was seen a short time ago and is not found now."""
        return self.job is None and bool(self.attempt.uid) and not self.is_gone

    @property
    def has_ended(self) -> bool:
        """No task of the attempt can run any more."""
        return self.is_gone or (self.job is not None and self.job.state.is_ended)

    @property
    def is_live(self) -> bool:
        """The job is there and not ended."""
        return self.job is not None and not self.job.state.is_ended

    @property
    def is_being_cancelled(self) -> bool:
        """The job is live, but on its way out."""
        leaving = (JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS)
        return self.job is not None and self.job.state in leaving

    @property
    def is_at_rest(self) -> bool:
        """No job of the run is live or could still appear."""
        attempt = self.run.current
        if attempt is None or self.has_ended or attempt.ended is not None:
            return True
        return self.was_never_seen and self.now - attempt.begun > GONE_AFTER

    @property
    def was_cancelled_by_someone(self) -> bool:
        """Somebody cancelled the job behind our back."""
        return self.job is not None and self.job.state is JobState.CANCELLED

    @property
    def is_stuck(self) -> bool:
        """The job has waited for machines, or to be taken at all, longer than the experiment allows."""
        if self.job is not None and self.job.state.is_waiting:
            since = self.job.created
        elif self.was_never_seen:
            since = self.attempt.begun
        else:
            return False
        return (self.now - since).total_seconds() > self.run.plan.max_wait

    @property
    def fails_alike(self) -> bool:
        """Many tasks failed, every one of them in the same way that no other attempt would mend; none came through."""
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
        """The results that are not there."""
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
        """The missing results that another attempt of the runner may bring."""
        return may_try_again(self.run, Stage.RUNNER, last_causes(self.run, self.missing))

    @property
    def stage_may_pass(self) -> bool:
        """Another attempt of the one task of this stage may come through."""
        return bool(may_try_again(self.run, self.attempt.stage, self.attempt.causes))

    @property
    def is_enough(self) -> bool:
        """What is there meets ``min_success``, over all and for each required location by itself."""
        least = self.run.plan.min_success
        spans = [(0, self.run.tasks or 0), *self.run.locations.values()]
        return all(
            (stop - start) - len(self.missing & IndexSet(((start, stop),))) >= least * (stop - start)
            for start, stop in spans
            if stop > start
        )

    @property
    def input_is_wrong(self) -> bool:
        """The stage says that what the experiment asks for cannot be done."""
        return Cause.BAD_INPUT in self.attempt.causes

    # -- kicks -----------------------------------------------------------------------------------

    @property
    def kick_id(self) -> str:
        """The id of the kick at hand, or of the one that was kept; empty when no person asked for anything."""
        if isinstance(self.event, Kick):
            return self.event.kick_id
        return self.run.pending.kick_id if self.run.pending else ""

    @property
    def is_known_kick(self) -> bool:
        """The kick was taken up before."""
        return isinstance(self.event, Kick) and self.run.knows(self.event.kick_id)

    @property
    def is_stale_kick(self) -> bool:
        """The kick was sent before the last one was taken up: it was meant for what that one ended.

        Attempts that began by themselves since then do not count: a person who cancels means the run.
        """
        since_kick = self.run.attempts[self.run.kicked_after :]
        return isinstance(self.event, Kick) and bool(since_kick) and self.event.published < since_kick[0].begun

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
        """The results are there, so that outputs can be made of them."""
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
        """The retry to take up: the one asked for just now, else the one that was kept."""
        return self.asked_retry or self.run.pending

    @property
    def can_resume(self) -> bool:
        """There is a retry to take up, and something for it to do."""
        retry = self.retry
        if retry is None or self.run.current is None or self.run.phase is Phase.REJECTED:
            return False
        has_gaps = self.run.phase is Phase.SUCCEEDED and bool(self.run.missing)
        return retry.scope != "missing" or has_gaps or self.run.phase in (Phase.FAILED, Phase.CANCELLED)

    @property
    def next_run(self) -> Run:
        """The run with what is missing brought up to date."""
        return replace(self.run, missing=self.missing)
