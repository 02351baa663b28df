"""Whoever is killed, and whenever: no task lives on, and the next service finishes the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
from support.local_jobs import PATIENCE, a_service, a_spec, descendants, is_alive, pids_in, until
from support.paths import STAND_INS

from epydrop.core.jobs import JobState, TaskEnd, TaskExit
from epydrop.errors import RetryableError

JOB = "runner-x-1"


@pytest.fixture(params=["fork", "spawn"])
def kind(request):
    return request.param


@pytest.fixture
def told(tmp_path):
    """Where tasks tell of themselves."""
    folder = tmp_path / "told"
    folder.mkdir()
    return folder


@pytest.fixture
def service(tmp_path, kind):
    service, database = a_service(tmp_path, kind)
    yield service
    service.close()
    database.close()


@pytest.fixture
def supervisor(tmp_path, kind):
    """A process that tends the same ROOT, and is gone at the end of the test."""
    script = STAND_INS / "supervise.py"
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path), kind], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"tending\n"
    yield process
    process.kill()
    process.wait(PATIENCE)
    process.stdout.close()


def finish(service, job_id=JOB):
    until(lambda: service.get(job_id).state.is_ended, service)
    return service.get(job_id)


def test_tasks_die_with_a_supervisor_that_is_killed(service, supervisor, told):
    """And so does all that they started, whatever it ignores."""
    service.submit(a_spec("parent", told, tasks=2))
    until(lambda: len(pids_in(told)) == 4)
    below = [process.pid for process in descendants(supervisor.pid)]
    assert set(pids_in(told)) <= set(below)

    supervisor.send_signal(signal.SIGKILL)

    until(lambda: not any(map(is_alive, below)))


def test_tasks_die_when_the_supervisor_and_its_helpers_are_killed_at_once(service, supervisor, told):
    """Then each task's own watch is all there is."""
    service.submit(a_spec("parent", told, tasks=2))
    until(lambda: len(pids_in(told)) == 4)
    below = [process.pid for process in descendants(supervisor.pid)]
    tasks = {pid for _, pid, _ in service.running(JOB)}
    helpers = [pid for pid in below if pid not in tasks and pid not in pids_in(told)]
    supervisor.send_signal(signal.SIGSTOP)

    for pid in [*(pid for pid in helpers if os.getsid(pid) == pid), supervisor.pid]:
        os.kill(pid, signal.SIGKILL)

    until(lambda: not any(map(is_alive, below)))


def test_the_next_service_finishes_what_a_killed_one_began(service, supervisor, told):
    """What had ended stays ended; what ran runs again, and it costs no retry."""
    service.submit(a_spec("count", told, 0.3, tasks=12, parallelism=2, max_task_retries=0))
    until(lambda: service.progress(JOB).succeeded >= 4 and service.progress(JOB).running == 2)

    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(PATIENCE)

    before = service.progress(JOB)
    assert finish(service).state is JobState.SUCCEEDED
    assert service.progress(JOB).succeeded == 12
    began = [(told / str(n)).read_text().count("began") for n in range(12)]
    assert all((told / str(n)).read_text().endswith("began\nended\n") for n in range(12))
    assert sum(began) <= 12 + 4
    assert began.count(1) >= before.succeeded
    assert service.task_log(JOB, 11).name == "00011-0.log"


def test_a_supervisor_killed_again_and_again_gets_there(tmp_path, kind, told):
    """At moments that nobody chose."""
    script = STAND_INS / "supervise.py"
    service, database = a_service(tmp_path, kind)
    service.submit(a_spec("count", told, 0.05, tasks=30, parallelism=2, max_task_retries=0))
    for wanted in (1, 4, 9):
        process = subprocess.Popen([sys.executable, str(script), str(tmp_path), kind], stdout=subprocess.PIPE)
        until(lambda wanted=wanted: service.progress(JOB).succeeded >= wanted)
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()

    assert finish(service).counts.succeeded == 30
    service.close()
    database.close()


def test_a_cancellation_outlives_the_supervisor(service, supervisor, told):
    """The next one carries it out."""
    service.submit(a_spec("parent", told, tasks=3))
    until(lambda: len(pids_in(told)) == 4)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(PATIENCE)

    service.cancel(JOB)

    assert finish(service).state is JobState.CANCELLED
    assert service.progress(JOB).never_ran == 3
    assert not any(map(is_alive, pids_in(told)))


def test_two_supervisors_of_one_root_are_one_too_many(service, supervisor):
    """The second is told who the first is."""
    with pytest.raises(RetryableError, match=f"process {supervisor.pid} "):
        service.tend(0)


def test_processes_recorded_as_running_are_ended_if_they_are_the_same(service, told):
    """Told by id and start time: an id that was given out again is left alone."""
    recorded = subprocess.Popen(["sleep", "600"], start_new_session=True)
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    service.submit(a_spec("exit", 0, tasks=2))
    with service._store.database.transaction() as connection:
        for position, pid, error in ((0, recorded.pid, 0.0), (1, stranger.pid, 1000.0)):
            connection.execute(
                "UPDATE tasks SET state = 'running', pid = ?, pid_created = ? WHERE position = ?",
                (pid, psutil.Process(pid).create_time() - error, position),
            )

    assert finish(service).state is JobState.SUCCEEDED

    assert recorded.wait(PATIENCE) == -signal.SIGKILL
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(PATIENCE)


def test_closing_ends_the_tasks_and_keeps_the_work_for_later(service, tmp_path, kind, told):
    """Ctrl-C, and another day."""
    service.submit(a_spec("parent", told, tasks=2, max_task_retries=0))
    until(lambda: len(pids_in(told)) == 4, service)

    service.close()

    until(lambda: not any(map(is_alive, pids_in(told))))
    assert service.progress(JOB).pending == 2
    assert service.get(JOB).state is JobState.RUNNING
    assert descendants() == []

    again, database = a_service(tmp_path, kind)
    until(lambda: again.progress(JOB).running == 2, again)
    again.close()
    database.close()


def test_a_closed_service_can_tend_again(service):
    """It takes the lock anew."""
    service.submit(a_spec("exit", 0, job_id="runner-a-1"))
    finish(service, "runner-a-1")
    service.close()
    service.submit(a_spec("exit", 0, job_id="runner-b-1"))

    assert finish(service, "runner-b-1").state is JobState.SUCCEEDED


def began(told):
    """How many tries of any task have begun."""
    return sum(path.read_text().count("began") for path in told.iterdir())


@pytest.mark.parametrize("kind", ["fork"], indirect=True)
def test_a_fork_server_that_dies_is_replaced(service, told):
    """Its children are lost as with their machine, and tried again."""
    service.submit(a_spec("count", told, 2.0, tasks=4, parallelism=2))
    until(lambda: service.progress(JOB).succeeded >= 1 and began(told) >= service.progress(JOB).succeeded + 2, service)
    lost = [pid for _, pid, _ in service.running(JOB)]

    os.kill(service._launcher.server_pid, signal.SIGKILL)

    assert finish(service).state is JobState.SUCCEEDED
    assert not any(map(is_alive, lost))
    assert began(told) > 4


@pytest.mark.parametrize("kind", ["fork"], indirect=True)
def test_tasks_of_a_dead_fork_server_without_tries_left_are_lost(service):
    """With the exit code of a machine that stopped reporting."""
    service.submit(a_spec("sleep", 600, max_task_retries=0))
    until(lambda: service.running(JOB), service)

    os.kill(service._launcher.server_pid, signal.SIGKILL)
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, TaskExit.REPORTING_TIMEOUT)]
