"""What a task finds around it, and how its end is read, by forks and by new processes alike."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from support.engine_jobs import JOB, Engine, is_alive, until

from batch_emulator.engine.errors import SetupError
from batch_emulator.engine.faults import TaskFaults
from batch_emulator.engine.job_store import JobObserver
from batch_emulator.engine.jobs import JobState, TaskExit


@pytest.fixture
def make(tmp_path):
    """Makes engines on one folder, and closes them."""
    made = []

    def make_engine(kind="fork", **options):
        made.append(Engine(tmp_path, kind, **options))
        return made[-1]

    yield make_engine
    for engine in made:
        engine.close()
        engine.database.close()


@pytest.fixture(params=["fork", "spawn"])
def kind(request):
    return request.param


@pytest.fixture
def engine(make):
    return make()


def test_a_task_finds_its_surroundings_as_batch_makes_them(make, kind, tmp_path, monkeypatch):
    """A few variables, an empty folder, nothing to read, a session of its own."""
    monkeypatch.setenv("UNRELATED_SECRET", "s")
    engine = make(kind, env={"FOR_ALL": "k"})

    engine.submit("report", tmp_path, tasks=2, env={"OF_THE_JOB": "7"})
    engine.finish()

    seen = json.loads((tmp_path / "1.json").read_text())
    env = seen["env"]
    assert (env["BATCH_TASK_INDEX"], env["BATCH_TASK_COUNT"], env["BATCH_TASK_RETRY_ATTEMPT"]) == ("1", "2", "0")
    assert (env["OF_THE_JOB"], env["FOR_ALL"], env["PYTHONHASHSEED"]) == ("7", "k", "0")
    assert env["OPENBLAS_NUM_THREADS"] == "1"
    assert "UNRELATED_SECRET" not in env
    assert seen["is_empty"]
    assert seen["leads_its_session"]
    assert seen["input"] == ""
    assert seen["argv"] == ["report", str(tmp_path)]
    assert not list((tmp_path / "state").rglob("left-behind"))


def test_every_end_of_a_task_has_its_exit_code_and_its_log(make, kind):
    """Exceptions, texts for sys.exit, signals, other programs, programs that do not exist."""
    engine = make(kind)
    actions = {
        "raises": ("fail",),
        "exits-with-text": ("say", "no such file"),
        "dies-of-a-signal": ("signal", int(signal.SIGSEGV)),
    }
    commands = {
        "program": ("sh", "-c", "echo hello; exit 9"),
        "program-dies": ("sh", "-c", "kill -ABRT $$"),
        "no-program": ("no-such-program",),
    }
    for job_id, action in actions.items():
        engine.submit(*action, job_id=job_id)
    for job_id, command in commands.items():
        engine.submit(job_id=job_id, command=command)
    ends = {job_id: engine.finish(job_id) and engine.failed(job_id)[0] for job_id in [*actions, *commands]}

    assert ends == {
        "raises": 1,
        "exits-with-text": 1,
        "dies-of-a-signal": 128 + signal.SIGSEGV,
        "program": 9,
        "program-dies": 128 + signal.SIGABRT,
        "no-program": 1,
    }
    assert re.search(
        r"about to fail\n(.|\n)*Traceback(.|\n)*this is the reason\n(.|\n)*exit code 1", engine.log(job_id="raises")
    )
    assert "no such file" in engine.log(job_id="exits-with-text")
    assert engine.log(job_id="program").startswith("hello\n")
    assert "no-such-program" in engine.log(job_id="no-program")


def test_each_try_has_a_log(engine, tmp_path):
    """Named by position and retry."""
    engine.submit("exit", 75)
    engine.finish()

    logs = sorted(path.name for path in (tmp_path / "state/logs" / JOB).iterdir())
    assert logs == ["00000-0.log", "00000-1.log", "00000-2.log"]


def test_a_task_that_uses_too_much_memory_is_killed_and_its_log_says_why(engine):
    """Exit code 137, like a container's."""
    engine.submit("allocate", 150, memory_mib=80)
    engine.finish()

    assert engine.failed() == {0: 137}
    assert re.search(r"killed: it used \d+ MiB of memory, its limit is 80 MiB", engine.log())


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace_period(make):
    """When its time is up."""
    engine = make(grace=0.2)
    engine.submit("stubborn", max_run_duration=1)
    engine.until(engine.running)
    (pid,) = engine.running()
    engine.finish()

    assert engine.failed() == {0: TaskExit.TIMED_OUT}
    assert not is_alive(pid)
    assert "max_run_duration" in engine.log()


def test_a_cancelled_task_has_no_exit_code_and_does_not_survive(make):
    """137 would look like a lack of memory."""
    engine = make(grace=0.2)
    engine.submit("stubborn", tasks=2)
    engine.until(lambda: len(engine.running()) == 2)
    engine.until(lambda: all("ignoring" in engine.log(n) for n in range(2)))
    pids = engine.running()

    engine.store.move(JOB, [JobState.RUNNING], JobState.CANCELLATION_IN_PROGRESS)

    assert engine.finish().state is JobState.CANCELLED
    assert engine.failed() == {0: None, 1: None}
    assert not any(map(is_alive, pids))


def test_what_a_task_leaves_running_ends_with_it(make, kind, tmp_path):
    """The whole process group ends."""
    engine = make(kind)
    engine.submit("leave-child", tmp_path)

    assert engine.finish().state is JobState.SUCCEEDED
    until(lambda: not is_alive(int((tmp_path / "left").read_text())))


def test_a_process_that_escapes_its_group_does_not_keep_the_lock(make, kind, tmp_path):
    """Otherwise no supervisor could start as long as it lives."""
    engine = make(kind)
    engine.submit("escape", tmp_path)
    engine.finish()
    engine.close()

    try:
        engine.step(0)
    finally:
        os.kill(int((tmp_path / "escaped").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(("kind", "count"), [("fork", 60), ("spawn", 8)])
def test_many_quick_tasks_all_run_once(make, kind, count, tmp_path):
    """None is lost between two rounds, none runs twice."""
    engine = make(kind)
    folder = tmp_path / "counts"
    folder.mkdir()
    engine.submit("count", folder, 0, tasks=count)
    engine.finish()

    assert engine.store.counts(JOB).succeeded == count
    assert [(folder / str(n)).read_text() for n in range(count)] == ["began\nended\n"] * count


def test_no_more_tasks_run_than_there_are_cores(make):
    """Over all jobs, and no more of a job than its parallelism."""
    engine = make(cores=2)
    engine.submit("sleep", 0.1, job_id="a", tasks=3, parallelism=1)
    engine.submit("sleep", 0.1, job_id="b", tasks=4)
    seen = set()

    def both_ended():
        seen.add((len(engine.running("a")), len(engine.running("b"))))
        return all(engine.store.job(job_id).state.is_final for job_id in "ab")

    engine.until(both_ended)

    assert max(a for a, _ in seen) == 1
    assert max(a + b for a, b in seen) == 2


def test_a_fault_costs_a_try(make, tmp_path):
    """As often as asked for, then the task succeeds; other tasks are spared."""
    folder = tmp_path / "counts"
    folder.mkdir()
    engine = make(faults=TaskFaults({TaskExit.PREEMPTED: {1: 1}, TaskExit.REPORTING_TIMEOUT: {1: 1}}, within=0.1))
    engine.submit("count", folder, 0.3, tasks=2)

    assert engine.finish().state is JobState.SUCCEEDED
    assert (engine.store.task(JOB, 0).retry, engine.store.task(JOB, 1).retry) == (0, 2)
    assert (folder / "0").read_text() == "began\nended\n"


def test_a_fault_in_every_try_fails_the_task(make):
    """With the exit code of the fault, even if the process ended before it struck."""
    engine = make(faults=TaskFaults({TaskExit.PREEMPTED: {0: 99}}))
    engine.submit("exit", 0)
    engine.finish()

    assert engine.failed() == {0: TaskExit.PREEMPTED}


def test_a_change_that_its_observer_refuses_is_not_stored(make):
    """They share one transaction."""

    class Refuses(JobObserver):
        def job_changed(self, change):
            raise ConnectionError

    engine = make(observer=Refuses())

    with pytest.raises(ConnectionError):
        engine.submit("exit", 0)

    assert engine.store.job(JOB) is None


def test_code_that_cannot_be_imported_stops_the_fork_server(make):
    """It says so at once."""
    engine = make(module="no_such_module")
    engine.submit("exit", 0)

    with pytest.raises(SetupError, match="no_such_module"):
        engine.step()


def test_code_that_starts_threads_cannot_be_forked(make):
    """A lock that such a thread holds would stay locked in the fork."""
    engine = make(module="threaded_tasks")
    engine.submit("exit", 0)

    with pytest.raises(SetupError, match="left-over"):
        engine.step()
