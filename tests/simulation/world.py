"""One deployment, put together from one seed and run to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

import epydrop.experiment
from epydrop.formats.names import EXPERIMENTS, KICKS
from epydrop.service import admission
from epydrop.service.world import World
from epydrop.settings import Settings
from epydrop.stores.port import ObjectInfo
from epydrop_workstation.local.envelopes import Envelope, finalize_envelope, job_envelope, kick_envelope
from simulation.batch import Batch, Job
from simulation.checks import FAULTS_CEASE, Checks, Violation, demand
from simulation.faults import Faults
from simulation.functions import Functions
from simulation.people import People
from simulation.stores import MemoryObjects, MemoryRuns
from simulation.timeline import START, Timeline

ALL_IS_DONE = FAULTS_CEASE + 6 * 3600.0  # seconds after the start; by then every run must have ended
SWEEP_EVERY = (300.0, 600.0)  # seconds; one of them in each simulation
MOST_KICKS = 20


@dataclass
class Outcome:
    """What came of one seed: the violation, if there was one, and the counts for statistics."""

    seed: int
    violation: BaseException | None = None
    runs: int = 0
    events: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)


def simulate(seed: int, without: Iterable[str] = (), *, with_trace: bool = False) -> Outcome:
    """Run one seed to its end, without some kinds of faults; what happened is told if something was wrong."""
    simulation = Simulation(seed, without)
    violation = None
    try:
        simulation.run()
    except (Violation, Exception) as error:  # noqa: BLE001 - whatever the service raises is a finding
        violation = error
    runs = [stored.run for stored in simulation.runs.runs.values()]
    phases = Counter(str(run.phase) for run in runs)
    trace = list(simulation.trace_lines()) if violation or with_trace else []
    return Outcome(seed, violation, len(runs), simulation.events, simulation.faults.struck, phases, trace)


class Simulation:
    """Everything that one seed decides."""

    def __init__(self, seed: int, without: Iterable[str] = ()) -> None:
        self.events = 0
        self.faults = Faults(seed, without)
        self.timeline = Timeline()
        self._random = Random(f"{seed}/network")
        self._lines: list[tuple[float, str, tuple[Any, ...]]] = []
        self._stores: dict[str, MemoryObjects] = {}
        self._sweep_every = self._random.choice(SWEEP_EVERY)
        self._messages = 0
        self._kills = 0
        self._in_transit = 0
        self.runs = MemoryRuns()
        self.checks = Checks(self.timeline, self.runs, self._stores)
        self.runs.on_saved = self.checks.saved
        self.trigger = MemoryObjects("gs://trigger/", lambda: self.timeline.moment, self._finalized)
        tasks = self._random.choice((2, 3, 4))
        self.batch = Batch(
            self.timeline, self.faults, seed, self._open_bare, self._job_changed, self.checks.new_job, tasks
        )
        self.checks.jobs = self.batch.jobs
        self.functions = Functions(self.timeline, self.faults, self._trace)
        self.functions.world = self._world()
        self.functions.on_worst_moment = self._at_the_worst_moment
        self.functions.on_killed = self._killed
        self.people = People(self.timeline, seed, self.trigger, self._run_ids, self._send_kick, self._trace)

    def run(self) -> None:
        """Run to the end. Raises Violation, or whatever the service raised that is no error of epydrop's."""
        self.people.plan()
        self.timeline.after(0, self._sweep)
        self.timeline.after(FAULTS_CEASE, self._cease)
        while not self._is_done():
            demand(self.timeline.now < ALL_IS_DONE, f"{list(self.runs.unfinished())} have not ended")
            self.timeline.step()
        self.checks.end(self.people.kicks, self.trigger)

    def trace_lines(self) -> Iterator[str]:
        """What happened, one line each."""
        for at, text, values in self._lines:
            yield f"{timedelta(seconds=round(at))} {text % values}"

    # -- the parts -------------------------------------------------------------------------------

    def _world(self) -> World:
        faulty = self.functions.faulty
        return World(
            settings=Settings("gs://data/", "trigger", "test", "sha256:0", START - timedelta(days=1)),
            runs=faulty(self.runs, "runs"),
            trigger=faulty(self.trigger, "trigger"),
            jobs=faulty(self.batch, "jobs"),
            publisher=faulty(self, "publisher"),
            open_store=lambda url: faulty(self._open_bare(url), "data"),
            now=self._clock,
            sleep=self.functions.sleep,
        )

    def _clock(self) -> datetime:
        return self.timeline.moment + timedelta(seconds=self.functions.skew)

    def _open_bare(self, url: str) -> MemoryObjects:
        if url not in self._stores:
            self._stores[url] = MemoryObjects(url, lambda: self.timeline.moment)
        return self._stores[url]

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """The Publisher port."""
        if topic == "runs":
            self.checks.notified[message["run_id"]].add(message["phase"])
        else:
            self._messages += 1
            self._send_kick(kick_envelope(message, f"ours-{self._messages}", self.timeline.moment))

    def _run_ids(self) -> list[str]:
        """The runs that a person can know of: from their replies."""
        return sorted(self.runs.runs)

    # -- the network -----------------------------------------------------------------------------

    def _finalized(self, info: ObjectInfo) -> None:
        # The event of a kick is not lost here, since nobody but its sender could notice; those of replies are ignored.
        if info.name.startswith((EXPERIMENTS, KICKS)):
            self._send(finalize_envelope("trigger", info, ""), may_be_lost=info.name.startswith(EXPERIMENTS))

    def _job_changed(self, job: Job) -> None:
        self._trace("%s is %s", job.spec.job_id, job.state)
        self._send(job_envelope(job.spec.job_id, job.uid, job.state, self.timeline.moment), may_be_lost=True)

    def _send_kick(self, envelope: Envelope) -> None:
        self._send(envelope, may_be_lost=False)

    def _send(self, envelope: Envelope, *, may_be_lost: bool) -> None:
        if may_be_lost and self.faults.strikes("event lost"):
            return
        delay = self._random.uniform(0.05, 3)
        if self.faults.strikes("event late"):
            delay += self.faults.amount("event late", 10, 7200)
        self._deliver_after(delay, envelope, may_be_lost)
        if self.faults.strikes("event repeated"):
            self._deliver_after(delay + self.faults.amount("event repeated", 0, 3600), envelope, may_be_lost)

    def _deliver_after(self, seconds: float, envelope: Envelope, may_be_lost: bool) -> None:
        self.events += 1
        self._in_transit += 1
        kills = self._kills

        def arrive() -> None:
            self._in_transit -= 1
            if not may_be_lost or kills == self._kills:
                self.functions.deliver(envelope)

        self.timeline.after(seconds, arrive)

    # -- what happens by itself ------------------------------------------------------------------

    def _sweep(self) -> None:
        for _ in range(2 if self.faults.strikes("second sweep") else 1):
            self._messages += 1
            self._send_kick(kick_envelope({"sweep": True}, f"ours-{self._messages}", self.timeline.moment))
        if self.faults.strikes("damaged later"):
            self._damage()
        self.timeline.after(self._sweep_every, self._sweep)

    def _damage(self) -> None:
        """A stored result is damaged from outside."""
        stores = [store for store in self._stores.values() if any("result_" in name for name in store.objects)]
        if stores:
            store = self._random.choice(stores)
            name = self._random.choice(sorted(name for name in store.objects if "result_" in name))
            self._trace("%s%s is damaged", store.url, name)
            store.write(name, b"damaged")

    def _at_the_worst_moment(self, run_id: str) -> None:
        if len(self.people.kicks) < MOST_KICKS:
            self.people.kick(run_id)

    def _killed(self) -> None:
        """The one machine that does everything is switched off and on: notifications on their way are gone."""
        self._kills += 1
        self.timeline.after(0, self.functions.kill_all)
        self.timeline.after(0, self.batch.restart_tasks)

    def _cease(self) -> None:
        self.faults.have_ceased = True

    def _is_done(self) -> bool:
        """Whether nothing is on its way, no call is in flight, and no run or kick is left to be dealt with."""
        return (
            not self.people.to_come
            and not self._in_transit
            and not self.functions.in_flight
            and len(self.runs.runs) >= len(self.people.dropped)
            and next(self.runs.unfinished(), None) is None
            and all(self.trigger.stat(f"{kick.answer}.md") for kick in self.people.kicks)
        )

    def _trace(self, text: str, *values: Any) -> None:
        self._lines.append((self.timeline.now, text, values))


@contextmanager
def quick_reading() -> Iterator[None]:
    """Read each text of an experiment once: nearly all the time of a simulation would be spent on it."""
    places: tuple[Any, ...] = (admission, epydrop.experiment)
    read = admission.read_experiment

    @lru_cache(maxsize=1000)
    def remembered(*arguments: Any, **options: Any) -> Any:
        return read(*arguments, **options)

    for place in places:
        place.read_experiment = remembered
    try:
        yield
    finally:
        for place in places:
            place.read_experiment = read
