"""Whichever process is killed, and whenever: no task survives it, and the next supervisor finishes the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
from support.engine_jobs import JOB, PATIENCE, Engine, descendants, is_alive, pids_in, until
from support.paths import STAND_INS

from batch_emulator.engine.errors import UnavailableError
from batch_emulator.engine.jobs import JobState, TaskExit


@pytest.fixture(params=["fork", "spawn"])
def kind(request):
    return request.param


@pytest.fixture
def notes(tmp_path):
    """The folder in which tasks write down their process ids and starts."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def engine(tmp_path, kind):
    engine = Engine(tmp_path, kind)
    yield engine
    engine.close()
    engine.database.close()


@pytest.fixture
def supervisor(tmp_path, kind):
    """A process that runs the jobs of the same folder; gone at the end of the test."""
    process = start_supervisor(tmp_path, kind)
    yield process
    end(process)


def start_supervisor(folder, kind):
    script = STAND_INS / "supervise.py"
    process = subprocess.Popen([sys.executable, str(script), str(folder), kind], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"running\n"
    return process


def end(process):
    process.kill()
    process.wait(PATIENCE)
    process.stdout.close()


def began(notes):
    """How many tries of any task have begun."""
    return sum(path.read_text().count("began") for path in notes.iterdir())


def test_tasks_die_with_a_supervisor_that_is_killed_and_a_cancellation_survives_it(engine, supervisor, notes):
    """All that they started dies too, whatever it ignores; the next supervisor carries out the cancellation."""
    engine.submit("parent", notes, tasks=3)
    until(lambda: len(pids_in(notes)) == 4)
    below = descendants(supervisor.pid)
    assert set(pids_in(notes)) <= set(below)
    with pytest.raises(UnavailableError, match=f"process {supervisor.pid} "):
        engine.step(0)

    supervisor.send_signal(signal.SIGKILL)
    until(lambda: not any(map(is_alive, below)))
    supervisor.wait(PATIENCE)
    engine.store.move(JOB, [JobState.RUNNING], JobState.CANCELLATION_IN_PROGRESS)

    assert engine.finish().state is JobState.CANCELLED
    assert engine.store.counts(JOB).never_ran == 3


def test_tasks_die_when_the_supervisor_and_its_helpers_are_killed_at_once(engine, supervisor, notes):
    """Then only each task's own watch is left."""
    engine.submit("parent", notes, tasks=2)
    until(lambda: len(pids_in(notes)) == 4)
    below = descendants(supervisor.pid)
    tasks = {*engine.running(), *pids_in(notes)}
    helpers = [pid for pid in below if pid not in tasks and os.getsid(pid) == pid]
    supervisor.send_signal(signal.SIGSTOP)

    for pid in [*helpers, supervisor.pid]:
        os.kill(pid, signal.SIGKILL)

    until(lambda: not any(map(is_alive, below)))


def test_the_next_supervisor_finishes_what_killed_ones_began(engine, tmp_path, kind, notes):
    """Tasks that had ended stay ended; those that ran run again, without loss of a retry."""
    count = 10
    engine.submit("count", notes, 0.1, tasks=count, parallelism=2, retries=0)
    for wanted in (1, 4):
        process = start_supervisor(tmp_path, kind)
        until(lambda wanted=wanted: engine.store.counts(JOB).succeeded >= wanted)
        end(process)
    before = engine.store.counts(JOB).succeeded

    assert engine.finish().state is JobState.SUCCEEDED
    tries = [(notes / str(n)).read_text() for n in range(count)]
    assert all(text.endswith("began\nended\n") for text in tries)
    assert sum(text.count("began") for text in tries) <= count + 2 * 4
    assert [text.count("began") for text in tries].count(1) >= before - 2
    assert {engine.store.task(JOB, n).retry for n in range(count)} == {0}


@pytest.mark.parametrize("kind", ["fork"], indirect=True)
def test_processes_recorded_as_running_are_ended_if_they_are_the_same(engine):
    """Identified by id and start time: a reused id is left alone."""
    recorded = subprocess.Popen(["sleep", "600"], start_new_session=True)
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    engine.submit("exit", 0, tasks=2)
    with engine.database.transaction() as connection:
        for position, pid, error in ((0, recorded.pid, 0.0), (1, stranger.pid, 1000.0)):
            connection.execute(
                "UPDATE tasks SET state = 'running', pid = ?, pid_created = ? WHERE position = ?",
                (pid, psutil.Process(pid).create_time() - error, position),
            )

    assert engine.finish().state is JobState.SUCCEEDED

    assert recorded.wait(PATIENCE) == -signal.SIGKILL
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(PATIENCE)


def test_closing_ends_the_tasks_and_keeps_the_work_for_later(engine, notes):
    """A closed engine can go on, too: it takes the lock again."""
    before = descendants()
    engine.submit("parent", notes, tasks=2, retries=0)
    engine.until(lambda: len(pids_in(notes)) == 4)

    engine.close()

    until(lambda: not any(map(is_alive, pids_in(notes))))
    assert engine.store.counts(JOB).pending == 2
    assert engine.store.job(JOB).state is JobState.RUNNING
    assert set(descendants()) <= set(before)
    engine.until(lambda: engine.store.counts(JOB).running == 2)


@pytest.mark.parametrize("kind", ["fork"], indirect=True)
def test_a_fork_server_that_dies_is_replaced(engine, notes):
    """Its children count as lost with their machine: retried or, without a try left, failed."""
    engine.submit("count", notes, 1.0, tasks=2)
    engine.submit("sleep", 600, job_id="no-retries", retries=0)
    engine.until(lambda: began(notes) == 2)
    lost = engine.running()

    os.kill(engine.launcher.server_pid, signal.SIGKILL)

    assert engine.finish().state is JobState.SUCCEEDED
    assert not any(map(is_alive, lost))
    assert began(notes) == 4
    engine.until(lambda: engine.running("no-retries"))
    os.kill(engine.launcher.server_pid, signal.SIGKILL)
    engine.finish("no-retries")
    assert engine.failed("no-retries") == {0: TaskExit.REPORTING_TIMEOUT}
