"""The core under all that can happen to it: repeated, stale, reordered, lost events; crashes and stalls anywhere.

Runs, objects and queue are the local adapters; only the jobs are scripted, so that a test decides how they end.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from support.interruptions import Crash, Interruptible, Interruptions, Paused
from support.scripted_jobs import ScriptedJob, ScriptedJobs

from epydrop.core.conditions import GONE_AFTER
from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
    Event,
    FileDropped,
    JobChanged,
    OutputRequested,
    RetryRequested,
    SweepRequested,
)
from epydrop.core.jobs import JobState
from epydrop.core.phases import Phase
from epydrop.core.run import Changes, Dropped
from epydrop.core.table import TABLE
from epydrop.errors import EpydropError
from epydrop.formats.names import Stage, parse_job_id, run_id_of
from epydrop.service.reconcile import reconcile
from epydrop.service.world import World
from epydrop.settings import Settings
from epydrop.stores import open_store
from epydrop.stores.folder import FileObjectStore
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.run_store import SqliteRunStore

EXIT_CODES = st.sampled_from([0, 0, 0, 1, 65, 75, 137, 50001, 50001, 50002, 50005, None])
CODES = st.one_of(st.just([]), st.lists(EXIT_CODES, max_size=4))
HEARD = st.sampled_from([True, True, False])
MOMENTS = st.one_of(st.none(), st.integers(min_value=0, max_value=60))

EXPERIMENT = """
suite: epydemix
model: {{model: {{type: SIR}}}}
tasks: {{populations: [here, there]}}
run:
  max_attempts: {attempts}
  min_success: {least}
  required: [{required}]
  spot: {spot}
  max_wait: 1h
"""

ARROWS = {arrow for row in TABLE for arrow in row.arrows}


class Messages:
    """The Publisher port: kicks and notifications pile up until a test delivers or loses them."""

    def __init__(self) -> None:
        self.checks: list[str] = []
        self.told: list[dict] = []

    def publish(self, topic: str, message: dict) -> None:
        if topic == "kicks":
            self.checks.append(message["check"])
        else:
            self.told.append(message)


class RunsUnderTrouble(RuleBasedStateMachine):
    """A person, a cloud and a network that do as they please."""

    events = Bundle("events")
    stalled = Bundle("stalled")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self.numbers = itertools.count(1)
        self.interruptions = Interruptions()
        self.stalls: list[tuple[Paused, datetime]] = []
        self.run_ids: list[str] = []
        self.trigger = FileObjectStore(self.folder / "trigger")
        self.database = Database(self.folder)
        self.runs = SqliteRunStore(self.database)
        self.jobs = ScriptedJobs(lambda: self.clock, open_store)
        self.messages = Messages()

        def wrapped(port: object) -> Interruptible:
            return Interruptible(port, self.interruptions)

        self.world = World(
            settings=Settings(f"{(self.folder / 'data').as_uri()}/", "trigger", "test", "sha256:0", self.clock),
            runs=wrapped(self.runs),
            trigger=wrapped(self.trigger),
            jobs=wrapped(self.jobs),
            publisher=wrapped(self.messages),
            open_store=lambda url: wrapped(open_store(url)),
            now=lambda: self.clock,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.clock += timedelta(seconds=seconds)

    def teardown(self) -> None:
        for stall, _ in self.stalls:
            stall.finish()
        if self.run_ids:
            self._bring_home()
        self.database.close()
        shutil.rmtree(self.folder)

    # -- handling ----------------------------------------------------------------------------

    def _handle(self, event: Event, moment: int | None) -> None:
        """Handles an event in a process that dies at the moment, if it comes to that."""
        self.clock += timedelta(milliseconds=10)
        before = self._finished_runs()
        try:
            with self.interruptions.at(moment, _die):
                reconcile(event, self.world)
        except (Crash, EpydropError):
            return
        finally:
            if not isinstance(event, CancelRequested | RetryRequested | OutputRequested):
                for run_id, (seen, pending) in before.items():
                    now, _ = self._finished_runs().get(run_id, (None, None))
                    assert pending or now == seen, f"{event} changed a finished run"

    def _finished_runs(self) -> dict[str, tuple[tuple, bool]]:
        found = {}
        for run_id in self.run_ids:
            stored = self.runs.load(run_id)
            if stored and not stored.run.phase.is_open:
                run = stored.run
                found[run_id] = ((run.phase, run.outputs, len(run.attempts), run.problems), run.pending is not None)
        return found

    # -- what people do ----------------------------------------------------------------------

    @initialize(
        target=events,
        heard=HEARD,
        attempts=st.integers(min_value=1, max_value=3),
        least=st.sampled_from([1.0, 0.5]),
        required=st.sampled_from(["", "here", "there"]),
        spot=st.booleans(),
    )
    def drop(self, heard: bool, attempts: int, least: float, required: str, spot: bool) -> Event:
        text = EXPERIMENT.format(attempts=attempts, least=least, required=required, spot=str(spot).lower())
        return self._happened(self._dropped(text), heard=heard)

    @precondition(lambda self: len(self.run_ids) == 1)
    @rule(target=events)
    def drop_nonsense(self) -> Event:
        return self._dropped("suit: epydemix")

    def _happened(self, event: Event, *, heard: bool) -> Event:
        """The event, delivered at once if it is heard; either way it may come again later."""
        if heard:
            self._handle(event, None)
        return event

    def _dropped(self, text: str) -> Event:
        name = f"experiments/flu-{next(self.numbers)}.yaml"
        info = self.trigger.write(name, text.encode())
        dropped = Dropped("trigger", name, info.generation, self.clock)
        self.run_ids.append(run_id_of(dropped.bucket, dropped.name, dropped.generation, dropped.created))
        return FileDropped(dropped, info.size)

    @rule(target=events, heard=HEARD, which=st.integers(min_value=0))
    def cancel(self, heard: bool, which: int) -> Event:
        kick = CancelRequested(self._one(which), f"kick-{next(self.numbers)}", self.clock)
        return self._happened(kick, heard=heard)

    @rule(
        target=events,
        heard=HEARD,
        which=st.integers(min_value=0),
        start=st.sampled_from([None, None, *Stage]),
        changes=st.sampled_from([Changes(), Changes(memory_mib=9000), Changes(spot=False)]),
    )
    def retry(self, heard: bool, which: int, start: Stage | None, changes: Changes) -> Event:
        kick = RetryRequested(self._one(which), f"kick-{next(self.numbers)}", self.clock, start, changes)
        return self._happened(kick, heard=heard)

    @rule(
        target=events,
        heard=HEARD,
        which=st.integers(min_value=0),
        config=st.sampled_from([{}, {"outputs": {"quantiles": [0.5]}}, {"outputs": {"quantiles": []}}]),
    )
    def ask_for_output(self, heard: bool, which: int, config: dict[str, object]) -> Event:
        kick = OutputRequested(self._one(which), f"kick-{next(self.numbers)}", self.clock, config)
        return self._happened(kick, heard=heard)

    def _one(self, which: int) -> str:
        return self.run_ids[which % len(self.run_ids)]

    # -- what the network does ---------------------------------------------------------------

    @rule(event=events, moment=MOMENTS)
    def deliver(self, event: Event, moment: int | None) -> None:
        self._handle(event, moment)

    @rule(target=events, event=consumes(events))
    def deliver_for_the_last_time(self, event: Event) -> object:
        self._handle(event, None)
        return multiple()

    @rule(target=stalled, event=events, moment=st.integers(min_value=0, max_value=40))
    def stall(self, event: Event, moment: int) -> Paused:
        stall = Paused(lambda: reconcile(event, self.world), self.interruptions, moment)
        self.stalls.append((stall, self.clock))
        return stall

    @rule(stall=consumes(stalled))
    def go_on(self, stall: Paused) -> None:
        self._finish(stall)

    def _finish(self, stall: Paused) -> None:
        error = stall.finish()
        assert error is None or isinstance(error, EpydropError), repr(error)
        self.stalls = [(other, since) for other, since in self.stalls if other is not stall]

    @rule(moment=MOMENTS)
    def sweep(self, moment: int | None) -> None:
        self._handle(SweepRequested(), moment)
        checks, self.messages.checks = self.messages.checks, []
        for run_id in checks:
            self._handle(CheckRequested(run_id), None)

    # -- what the cloud does -----------------------------------------------------------------

    @precondition(lambda self: self.jobs.live())
    @rule(target=events, which=st.integers(min_value=0))
    def start_job(self, which: int) -> Event:
        job = self._live(which)
        self.jobs.start(job)
        return self._notification(job)

    @precondition(lambda self: self.jobs.live())
    @rule(
        target=events,
        heard=HEARD,
        which=st.integers(min_value=0),
        codes=CODES,
        tasks=st.integers(min_value=2, max_value=4),
    )
    def end_job(self, heard: bool, which: int, codes: list[int | None], tasks: int) -> Event:
        job = self._live(which)
        if job.view.state is JobState.CANCELLATION_IN_PROGRESS:
            self.jobs.end_cancelled(job)
        else:
            self.jobs.finish(job, dict(enumerate(codes[: job.spec.task_count])), tasks=tasks)
        return self._happened(self._notification(job), heard=heard)

    @precondition(lambda self: self.jobs.live())
    @rule()
    def all_goes_well_for_a_while(self) -> None:
        for job in self.jobs.live():
            if job.view.state is not JobState.CANCELLATION_IN_PROGRESS:
                self.jobs.finish(job, {})
                self._handle(self._notification(job), None)

    @precondition(lambda self: any(job.spec.job_id.startswith("output") for job in self.jobs.live()))
    @rule(target=events, heard=HEARD, bad=st.sets(st.integers(min_value=0, max_value=1), min_size=1))
    def refuse_results(self, heard: bool, bad: set[int]) -> Event:
        job = next(job for job in self.jobs.live() if job.spec.job_id.startswith("output"))
        missing = self.jobs.orders(job.spec).missing
        self.jobs.refuse(job, sorted(bad - set(missing)) or [next(i for i in range(9) if i not in missing)])
        return self._happened(self._notification(job), heard=heard)

    @precondition(lambda self: self.jobs.live() and not self.jobs.meddled)
    @rule(target=events, delete=st.booleans())
    def meddle_behind_our_back(self, delete: bool) -> Event:
        job = self._live(0)
        self.jobs.meddled = True
        if delete:
            self.jobs.delete(job)
        else:
            self.jobs.end_cancelled(job)
        return self._notification(job)

    @rule(minutes=st.sampled_from([1, 5, 20, 70]))
    def time_passes(self, minutes: int) -> None:
        for stall, since in list(self.stalls):  # no call of a function lives longer than nine minutes
            if self.clock + timedelta(minutes=minutes) - since > timedelta(minutes=9):
                self._finish(stall)
        self.clock += timedelta(minutes=minutes)

    def _live(self, which: int) -> ScriptedJob:
        live = self.jobs.live()
        return live[which % len(live)]

    def _notification(self, job: ScriptedJob) -> Event:
        return JobChanged(parse_job_id(job.spec.job_id), job.view.state)

    # -- what must hold ----------------------------------------------------------------------

    @invariant()
    def no_finished_result_is_ordered_again(self) -> None:
        assert self.jobs.recomputed == []

    @invariant()
    def history_is_whole_and_follows_the_table(self) -> None:
        for run_id in self.run_ids:
            entries = list(self.runs.history(run_id))
            assert [entry.serial for entry in entries] == list(range(1, len(entries) + 1))
            for before, after in itertools.pairwise(entries):
                assert before.phase is after.phase or (before.phase, after.phase) in ARROWS

    @invariant()
    def every_job_belongs_to_a_recorded_attempt(self) -> None:
        for job_id in self.jobs.jobs:
            stored = self.runs.load(parse_job_id(job_id).run_id)
            assert job_id in [attempt.job_id for attempt in stored.run.attempts]

    def _bring_home(self) -> None:
        """From wherever it got to, the sweep alone must bring every run to an end that stays."""
        for _ in range(60):
            for job in self.jobs.live():
                if job.view.state is JobState.CANCELLATION_IN_PROGRESS:
                    self.jobs.end_cancelled(job)
                else:
                    self.jobs.finish(job, {})
            self.clock += GONE_AFTER + timedelta(minutes=1)
            self.sweep(None)
            if not list(self.runs.unfinished()):
                break
        assert list(self.runs.unfinished()) == []
        assert self.jobs.live() == []
        for run_id in self.run_ids:
            stored = self.runs.load(run_id)
            if stored is not None:
                self._is_at_a_good_end(stored.run)

    def _is_at_a_good_end(self, run: object) -> None:
        assert not run.phase.is_open
        assert run.pending is None
        assert run.told == run.news
        assert self.messages.told, "no notification was sent"
        if run.phase is Phase.SUCCEEDED:
            store = open_store(run.run_url)
            assert store.stat(f"{run.outputs}complete.json") is not None
            assert len(run.missing) <= (1 - run.plan.min_success) * run.tasks
        if run.phase is Phase.REJECTED:
            assert run.problems


def _die() -> None:
    raise Crash


RunsUnderTrouble.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestRunsUnderTrouble = RunsUnderTrouble.TestCase
