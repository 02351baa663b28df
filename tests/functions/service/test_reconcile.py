"""The shell: what is written before what, who obeys whom, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.factories import NOW
from support.scene import EXPERIMENT, Scene
from support.scripted_jobs import ScriptedJobs

from epydrop.core.conditions import GONE_AFTER
from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
    Ignored,
    JobChanged,
    OutputRequested,
    Refused,
    RetryRequested,
    SweepRequested,
)
from epydrop.core.jobs import JobState
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.errors import BadInput, ConfigurationError, NotFound, PreconditionFailed, RetryableError
from epydrop.formats import names
from epydrop.formats.names import Stage, parse_job_id
from epydrop.formats.serialization import to_json
from epydrop.service import admission
from epydrop.stores import open_store
from epydrop_workstation.local.run_store import SqliteRunStore


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_a_dropped_file_goes_all_the_way(here: Scene) -> None:
    """Builder, runner, output; the person and the listeners are told twice: accepted, finished."""
    here.reconcile(here.drop())
    accepted = json.loads(here.reply())
    here.end_job()
    here.end_job()
    here.end_job()

    run = here.run()
    assert (accepted["phase"], accepted["tasks"]) == ("builder", None)
    assert (run.phase, run.unsettled, run.tasks) == (Phase.SUCCEEDED, False, 3)
    assert json.loads(here.reply())["outputs_url"] == run.run_url + run.outputs
    assert b"# flu: finished" in here.reply("md")
    assert [message["news"] for topic, message in here.messages.sent if topic == "runs"] == ["accepted", "succeeded/3"]


def test_a_run_keeps_the_file_as_dropped_and_the_experiment_with_its_seed(here: Scene) -> None:
    """Omitted, the seed follows from the run id and is written down."""
    here.reconcile(here.drop())

    store = open_store(here.run().run_url)
    assert store.read("dropped/flu.yaml") == EXPERIMENT
    assert b"seed: " in store.read("experiment.yaml")


@pytest.mark.parametrize(
    ("run", "variables"),
    [("{}", {"900"}), ("{max_silence: 5m}", {"300"}), ("{max_silence: null}", {None})],
)
def test_every_task_knows_how_long_it_may_be_silent(here: Scene, run: str, variables: set[str | None]) -> None:
    """A quarter of an hour, what the file says, or as long as it likes."""
    here.reconcile(here.drop(EXPERIMENT + f"run: {run}\n".encode()))
    for _ in Stage:
        here.end_job()

    assert {job.spec.env.get("EPYDROP_MAX_SILENCE") for job in here.jobs.jobs.values()} == variables
    assert len(here.jobs.jobs) == 3


def test_a_rejected_file_is_kept_and_every_problem_told_with_its_line(here: Scene) -> None:
    """Nothing is lost, and nothing is submitted."""
    here.reconcile(here.drop(b"suite: epydemix\nmodle: {}\nrun: {max_attempts: many}\n"))

    run = here.run()
    assert (run.phase, run.unsettled, here.jobs.jobs) == (Phase.REJECTED, False, {})
    assert open_store(run.run_url).stat("dropped/flu.yaml") is not None
    assert "flu.yaml:2:1: 'modle' is not a key of an experiment (did you mean 'model'?)" in here.reply("md").decode()
    assert len(json.loads(here.reply())["problems"]) == len(run.problems) > 1


def test_a_file_with_an_impossible_name_is_rejected_too(here: Scene) -> None:
    """Under a folder that can be made."""
    here.reconcile(here.drop(b"nonsense", "experiments/my flu (final).yaml"))

    assert here.run().phase is Phase.REJECTED


def test_a_file_that_is_replaced_before_it_is_read_does_not_start_the_older_run(here: Scene) -> None:
    """The event names one generation; the newer one has an event, and a run, of its own."""
    older = here.drop()
    newer = here.drop(EXPERIMENT.replace(b"exp_id: flu", b"exp_id: newer"))

    here.reconcile(older)
    assert list(here.runs.newest(1)) == []

    here.reconcile(newer)
    assert here.run().exp_id == "newer"


def test_a_file_that_is_replaced_after_it_is_read_is_not_kept_as_the_dropped_one(
    here: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy in the run's folder is of the generation that was read, or there is no run."""
    event = here.drop()
    read_offer = admission.read_offer

    def replaced_meanwhile(*arguments: Any) -> Any:
        reading = read_offer(*arguments)
        here.drop(EXPERIMENT.replace(b"exp_id: flu", b"exp_id: newer"))
        return reading

    monkeypatch.setattr(admission, "read_offer", replaced_meanwhile)

    with pytest.raises(NotFound):
        here.reconcile(event)
    assert list(here.runs.newest(1)) == []


def test_a_file_that_vanished_is_ignored(here: Scene) -> None:
    """Somebody took it back."""
    event = here.drop()
    here.trigger.delete("experiments/flu.yaml")

    here.reconcile(event)

    assert list(here.runs.newest(1)) == []


def test_what_is_ignored_or_unknown_does_nothing(here: Scene) -> None:
    """Not even for a run that does not exist."""
    here.reconcile(Ignored("not for us"))
    here.reconcile(Refused("not clear"))
    here.reconcile(CheckRequested("20261122-120000-0123abcd"))

    assert list(here.runs.newest(1)) == []


def test_a_job_that_lags_behind_its_notification_is_read_again(here: Scene) -> None:
    """For a minute; then the event is delivered again."""
    here.reconcile(here.drop())
    event = JobChanged(parse_job_id(here.job().spec.job_id), JobState.SUCCEEDED)
    before = here.clock

    with pytest.raises(RetryableError, match="the job does not"):
        here.reconcile(event)

    assert timedelta(seconds=60) <= here.clock - before < timedelta(seconds=70)


def test_a_job_that_catches_up_meanwhile_is_taken_as_it_is(here: Scene) -> None:
    """The second look sees it ended."""
    here.reconcile(here.drop())
    job = here.job()

    def sleep(seconds: float) -> None:
        here.jobs.finish(job, {})

    here.world = replace(here.world, sleep=sleep)
    here.reconcile(JobChanged(parse_job_id(job.spec.job_id), JobState.SUCCEEDED))

    assert here.run().phase is Phase.RUNNER


def test_a_job_that_is_refused_for_good_becomes_a_failed_run(here: Scene) -> None:
    """Delivering the event again would not help anybody."""

    class Refusing(ScriptedJobs):
        def submit(self, spec: object) -> None:
            raise BadInput("no such machine type")

    here.world = replace(here.world, jobs=Refusing(lambda: NOW, open_store))
    here.reconcile(here.drop())

    assert here.run().phase is Phase.FAILED
    assert "no such machine type" in here.run().reason


class NotAllowed(ScriptedJobs):
    """A job service to which our account has no access."""

    def submit(self, spec: object) -> None:
        raise ConfigurationError("permission batch.jobs.create denied")


def test_a_job_that_may_not_be_submitted_is_tried_again_for_a_while(here: Scene) -> None:
    """A new role takes minutes to hold."""
    here.world = replace(here.world, jobs=NotAllowed(lambda: NOW, open_store))

    with pytest.raises(ConfigurationError, match="denied"):
        here.reconcile(here.drop())

    assert here.run().phase is Phase.BUILDER


def test_a_job_that_may_never_be_submitted_becomes_a_failed_run(here: Scene) -> None:
    """Rather than one that nobody hears of again; a retry takes it up once the role is there."""
    allowed = here.world
    here.world = replace(allowed, jobs=NotAllowed(lambda: NOW, open_store))
    with pytest.raises(ConfigurationError):
        here.reconcile(here.drop())
    here.clock += GONE_AFTER

    here.reconcile(CheckRequested(here.run().run_id))

    assert here.run().phase is Phase.FAILED
    assert "permission batch.jobs.create denied" in here.reply("md").decode()
    here.world = allowed
    here.clock += GONE_AFTER
    here.reconcile(RetryRequested(here.run().run_id, "kick-1", here.clock))
    assert here.run().phase is Phase.BUILDER


class Locked(NotAllowed):
    """One that does not even let us look."""

    def get(self, job_id: str) -> None:
        raise ConfigurationError("permission batch.jobs.get denied")

    cancel = get


def test_a_job_service_that_lets_nobody_look_fails_the_run_too(here: Scene) -> None:
    """After the same while. The run is watched on: a call that died may have made the job before it was locked."""
    here.world = replace(here.world, jobs=Locked(lambda: NOW, open_store))
    with pytest.raises(ConfigurationError):
        here.reconcile(here.drop())
    here.clock += GONE_AFTER

    with pytest.raises(ConfigurationError):  # the job that may be there cannot be cancelled
        here.reconcile(CheckRequested(here.run().run_id))
    here.reconcile(CheckRequested(here.run().run_id))

    assert (here.run().phase, here.run().unsettled) == (Phase.FAILED, True)
    assert "permission batch.jobs.get denied" in here.reply("md").decode()

    here.world = replace(here.world, jobs=here.jobs)
    here.clock += GONE_AFTER + timedelta(seconds=1)
    here.reconcile(CheckRequested(here.run().run_id))

    assert (here.run().phase, here.run().unsettled) == (Phase.FAILED, False)


class Busy(ScriptedJobs):
    """A job service with too much to do."""

    def submit(self, spec: object) -> None:
        raise RetryableError("429 quota exceeded")


def test_a_busy_job_service_keeps_nobody_waiting_for_the_reply(here: Scene) -> None:
    """The event comes again; that the file was accepted is told once, at once."""
    here.world = replace(here.world, jobs=Busy(lambda: NOW, open_store))
    drop = here.drop()

    for _ in range(3):
        with pytest.raises(RetryableError, match="429"):
            here.reconcile(drop)

    assert b"accepted" in here.reply("md")
    assert [message["news"] for topic, message in here.messages.sent if topic == "runs"] == ["accepted"]


def test_a_topic_that_is_missing_keeps_no_job_from_starting(here: Scene) -> None:
    """The event is delivered again until somebody makes the topic; the run goes on meanwhile."""

    class NoTopic:
        def publish(self, topic: str, message: dict) -> None:
            raise ConfigurationError(f"there is no topic {topic}")

    here.world = replace(here.world, publisher=NoTopic())

    with pytest.raises(ConfigurationError, match="no topic runs"):
        here.reconcile(here.drop())

    assert here.job().view.state is JobState.QUEUED
    assert b"accepted" in here.reply("md")
    assert here.run().unsettled


def test_other_outputs_that_cannot_be_made_are_told_in_the_reply(here: Scene) -> None:
    """The run stays as it is; the next request, which can be met, takes the problem away."""
    here.reconcile(here.drop())
    for _ in range(3):
        here.end_job()
    published = here.run().published

    here.reconcile(OutputRequested(here.run().run_id, "kick-1", here.clock, {"outputs": {"quantiles": [2]}}))
    refused = json.loads(here.reply())
    here.reconcile(OutputRequested(here.run().run_id, "kick-2", here.clock, {"outputs": {"quantiles": [0.5]}}))

    (problem,) = refused["problems"]
    assert problem == "the output configuration: outputs.quantiles[0]: expected a number between 0 and 1, got 2"
    assert (refused["phase"], refused["outputs_url"]) == ("succeeded", here.run().run_url + published)
    assert here.run().phase is Phase.OUTPUT
    assert here.jobs.orders(here.job().spec).output_config == {"outputs": {"quantiles": [0.5]}}


def test_a_reply_is_never_written_over_a_newer_one(here: Scene) -> None:
    """A call that was held up speaks of yesterday."""
    here.reconcile(here.drop())
    run = here.run()
    newer = {"json": b'{"serial": 99}', "md": b"# flu: finished\n\n<!-- serial 99 -->\n"}
    for suffix, reply in newer.items():
        here.trigger.write(names.reply_name(run.dropped.name, run.run_id, suffix), reply)

    here.reconcile(CancelRequested(run.run_id, "kick-1", here.clock))

    assert {suffix: here.reply(suffix) for suffix in newer} == newer


def test_the_sweep_asks_for_one_check_for_each_run_that_is_open_or_unsettled(here: Scene) -> None:
    """So one bad run never blocks another."""
    here.reconcile(here.drop(name="experiments/open.yaml"))
    open_run = here.run().run_id
    here.reconcile(here.drop(b"nonsense", "experiments/rejected.yaml"))
    here.messages.sent.clear()

    here.reconcile(SweepRequested())

    assert here.messages.sent == [("kicks", {"check": open_run})]


def test_a_save_that_others_always_beat_is_delivered_again(here: Scene) -> None:
    """Five times, then the platform's own back-off is the better one."""

    class Contended(SqliteRunStore):
        def save(self, run: Run, revision: str, entry: object) -> None:
            raise PreconditionFailed("changed meanwhile")

    here.reconcile(here.drop())
    here.world = replace(here.world, runs=Contended(here.runs._database))

    with pytest.raises(RetryableError, match="5 times"):
        here.reconcile(CancelRequested(here.run().run_id, "kick-1", here.clock))


def test_the_history_stays_small_however_many_tasks_are_missing(here: Scene) -> None:
    """A hundred thousand tasks, every other one preempted."""
    here.reconcile(here.drop())
    here.end_job(tasks=100_000)
    job = here.job()
    here.jobs.finish(job, dict.fromkeys(range(100_000), 50001))

    here.reconcile(JobChanged(parse_job_id(job.spec.job_id), JobState.FAILED))

    entries = list(here.runs.history(here.run().run_id))
    assert entries[-2].facts["missing_count"] == 100_000
    assert all(len(to_json(entry)) < 10_000 for entry in entries)


def test_the_log_measures_the_phases_that_runs_enter_and_what_checks_find(
    here: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """What the dashboards and alerts of a deployment are made of."""
    caplog.set_level("INFO", "epydrop")
    here.reconcile(here.drop())
    here.clock += timedelta(minutes=90)

    here.reconcile(CheckRequested(here.run().run_id))
    here.jobs.delete(here.job())
    here.reconcile(CheckRequested(here.run().run_id))

    values = [record.measured for record in caplog.records if hasattr(record, "measured")]
    assert [one["phase"] for one in values if "phase" in one] == ["builder", "failed"]
    checks = [one for one in values if "repaired" in one]
    assert [one["repaired"] for one in checks] == [False, True]
    assert [one.get("open_hours") for one in checks] == [1.5, None]


def test_the_end_is_told_with_the_digest_of_causes(here: Scene) -> None:
    """An error must say more than FAILED."""
    here.reconcile(here.drop())
    here.end_job(tasks=4)
    here.end_job({0: 1, 2: 1, 3: 50005})

    reply = here.reply("md").decode()
    assert "# flu: failed" in reply
    assert "2 x ValueError: bad (for example task 0)" in reply
    assert "1 x timed_out (for example task 3)" in reply
