"""The local job service keeps the contract; what tasks do is tested with the engine, under tests/batch_emulator."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts.job_service import JobServiceContract
from support.local_jobs import a_service, a_spec, until

from batch_emulator.engine.faults import TaskFaults
from batch_emulator.engine.task_logs import newest_log
from epydrop.core.jobs import JobState, TaskEnd, TaskExit
from epydrop.errors import ConfigurationError, RetryableError
from epydrop.formats.names import LOCAL_STATE
from epydrop_workstation.local.event_queue import SqliteEventQueue

JOB = "runner-x-1"


@pytest.fixture
def make(tmp_path):
    """Makes services on one ROOT, and closes them."""
    made = []

    def make_service(**options):
        made.append(a_service(tmp_path, **options))
        return made[-1][0]

    yield make_service
    for service, database in made:
        service.close()
        database.close()


@pytest.fixture
def announced():
    return []


@pytest.fixture
def service(make, announced):
    return make(emit=announced.append)


def finish(service, job_id=JOB):
    until(lambda: service.get(job_id).state.is_ended, service)
    return service.get(job_id)


class TestLocalJobService(JobServiceContract):
    """The contract, with SQL that bypasses the service."""

    @pytest.fixture(autouse=True)
    def _raw(self, service, announced):
        self._database = service._store.database
        self._envelopes = announced

    def finish(self, service, job_id):
        finish(service, job_id)

    def begin(self, service, job_id):
        until(lambda: service.get(job_id).counts.running, service)

    def announced(self):
        messages = [envelope["data"]["message"]["attributes"] for envelope in self._envelopes]
        return [(m["JobName"].rpartition("/")[2], JobState(m["NewJobState"])) for m in messages]

    def raw_jobs(self):
        return [row["job_id"] for row in self._database.rows("SELECT job_id FROM jobs")]


def test_a_stage_has_its_own_variables_and_those_of_the_local_cloud(make, tmp_path):
    """Only a builder gets the builders' secrets."""
    service = make(env={"EPYDROP_SIGNING_KEY": "k"}, builder_env={"GITHUB_PAT": "p"}, cores=2)
    for stage in ("builder", "runner"):
        (tmp_path / stage).mkdir()
        job_id = f"{stage}-20260101-000000-00000000-1"
        service.submit(a_spec("report", tmp_path / stage, job_id=job_id, env={"EPYDROP_ATTEMPT": "7"}))
        finish(service, job_id)

    builder, runner = (json.loads((tmp_path / stage / "0.json").read_text())["env"] for stage in ("builder", "runner"))
    assert (runner["EPYDROP_ATTEMPT"], runner["EPYDROP_SIGNING_KEY"], runner["EPYDROP_CORES"]) == ("7", "k", "2")
    assert (builder["GITHUB_PAT"], "GITHUB_PAT" in runner) == ("p", False)


def test_the_log_of_a_task_is_that_of_its_newest_try(service, tmp_path):
    """The one that people want to see."""
    service.submit(a_spec("exit", 75))
    finish(service)

    assert newest_log(tmp_path / LOCAL_STATE, JOB, 0).name == "00000-2.log"
    assert service.progress(JOB).failed == 1


def test_a_machine_lost_on_purpose_shows_as_batch_shows_it(make):
    """With the exit code that Batch reserves for it."""
    service = make(faults=TaskFaults({TaskExit.PREEMPTED: {0: 99}}))
    service.submit(a_spec("exit", 0))
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, TaskExit.PREEMPTED)]


def test_any_thread_may_submit_and_cancel_while_one_tends(service):
    """The tasks are run by one thread."""

    def submit(number):
        job_id = f"runner-{number}-1"
        service.submit(a_spec("sleep", 600 if number % 2 else 0, job_id=job_id))
        if number % 2:
            service.cancel(job_id)
        return job_id

    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(submit, range(8)))
        until(lambda: all(service.get(job_id).state.is_ended for job_id in jobs), service)

    assert [str(service.get(job_id).state) for job_id in jobs] == ["SUCCEEDED", "CANCELLED"] * 4


def test_the_queue_of_the_same_root_gets_every_state_in_order(make):
    """In the transaction that stores the state."""

    def emit(envelope):
        queue.put(envelope)

    service = make(emit=emit)
    queue = SqliteEventQueue(service._store.database)
    service.submit(a_spec("exit", 0))
    finish(service)

    messages = [delivery.envelope["data"]["message"]["attributes"] for delivery in iter(queue.take, None)]
    assert [message["NewJobState"] for message in messages] == ["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"]
    assert {message["JobUID"] for message in messages} == {service.get(JOB).uid}


def test_a_job_whose_notification_cannot_be_queued_is_not_stored(make):
    """They share one transaction."""

    def fail(_):
        raise ConnectionError

    service = make(emit=fail)

    with pytest.raises(ConnectionError):
        service.submit(a_spec("exit", 0))

    assert service.get(JOB) is None


def test_only_the_jobs_of_the_wanted_run_are_tended(service):
    """Those of other runs stay as they are."""
    mine, other = (f"runner-2026010{day}-000000-00000000-1" for day in (1, 2))
    for job_id in (other, mine):
        service.submit(a_spec("exit", 0, job_id=job_id))

    service.run_only_tasks_of("20260101-000000-00000000")
    finish(service, mine)

    assert service.get(other).state is JobState.QUEUED


def test_code_that_cannot_be_imported_is_a_configuration_error(make):
    """The engine's errors become epydrop's."""
    service = make(module="no_such_module")
    service.submit(a_spec("exit", 0))

    with pytest.raises(ConfigurationError, match="no_such_module"):
        service.run_tasks(1)


def test_another_process_that_runs_the_tasks_of_the_same_root_is_waited_for(service, tmp_path):
    """It is named; a closed service takes its turn once the other is gone."""
    service.submit(a_spec("exit", 0))
    program = (
        "import fcntl, os, sys, time, psutil\n"
        "lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "os.pwrite(lock, f'{os.getpid()} {psutil.Process().create_time()}\\n'.encode(), 0)\n"
        "print('locked', flush=True)\n"
        "time.sleep(600)\n"
    )
    lock = tmp_path / ".epydrop" / "supervisor.lock"
    other = subprocess.Popen([sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"locked\n"

    with pytest.raises(RetryableError, match=f"process {other.pid} "):
        service.run_tasks(0)
    other.kill()
    other.communicate()

    assert finish(service).state is JobState.SUCCEEDED
