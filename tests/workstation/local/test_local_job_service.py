"""The job service on processes keeps the contract, by forks and by fresh processes alike."""

from __future__ import annotations

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts.job_service import JobServiceContract
from support.local_jobs import a_service, a_spec, is_alive, until

from batch_emulator.engine.faults import Trouble
from epydrop.core.jobs import JobState, TaskEnd, TaskExit
from epydrop.errors import BadInput, ConfigurationError
from epydrop_workstation.local.event_queue import SqliteEventQueue

JOB = "runner-x-1"


@pytest.fixture(params=["fork", "spawn"])
def kind(request):
    return request.param


@pytest.fixture
def make(tmp_path, kind):
    """Makes services on one ROOT, and closes them."""
    made = []

    def make_service(**options):
        made.append(a_service(tmp_path, **{"kind": kind, **options}))
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
    """The contract, with SQL behind the service's back."""

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

    def test_every_state_is_announced_in_order(self, service):
        """Batch may leave some out; this service does not."""
        service.submit(a_spec("exit", 0))
        finish(service)

        assert [str(state) for _, state in self.announced()] == ["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"]


def test_a_task_finds_its_surroundings_as_batch_makes_them(make, tmp_path, monkeypatch):
    """A few variables, an empty folder, nothing to read, a session of its own."""
    monkeypatch.setenv("UNRELATED_SECRET", "s")
    service = make(env={"EPYDROP_SIGNING_KEY": "k"})

    service.submit(a_spec("report", tmp_path, tasks=2, env={"EPYDROP_ATTEMPT": "7"}))
    finish(service)

    seen = json.loads((tmp_path / "1.json").read_text())
    env = seen["env"]
    assert (env["BATCH_TASK_INDEX"], env["BATCH_TASK_COUNT"], env["BATCH_TASK_RETRY_ATTEMPT"]) == ("1", "2", "0")
    assert (env["EPYDROP_ATTEMPT"], env["EPYDROP_SIGNING_KEY"], env["PYTHONHASHSEED"]) == ("7", "k", "0")
    assert env["OPENBLAS_NUM_THREADS"] == "1"
    assert "UNRELATED_SECRET" not in env
    assert seen["is_empty"]
    assert seen["leads_its_session"]
    assert seen["input"] == ""
    assert seen["argv"] == ["report", str(tmp_path)]
    assert not list((tmp_path / ".epydrop").rglob("left-behind"))


def test_an_exception_ends_the_task_with_1_and_stands_in_its_log(service):
    """Below what the task itself said."""
    service.submit(a_spec("fail"))
    finish(service)

    log = service.task_log(JOB, 0).read_text()
    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, 1)]
    assert re.search(r"about to fail\n(.|\n)*Traceback(.|\n)*this is the reason\n(.|\n)*exit code 1", log)


def test_words_given_to_sys_exit_stand_in_the_log(service):
    """As in any interpreter."""
    service.submit(a_spec("say", "no such file"))
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, 1)]
    assert "no such file" in service.task_log(JOB, 0).read_text()


def test_death_by_a_signal_counts_128_and_its_number(service):
    """As in a shell, and on Batch."""
    service.submit(a_spec("signal", int(signal.SIGSEGV)))
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, 128 + signal.SIGSEGV)]


def test_each_try_has_a_log(service, tmp_path):
    """The newest is the one that is shown."""
    service.submit(a_spec("exit", 75))
    finish(service)

    logs = sorted(path.name for path in (tmp_path / ".epydrop/logs" / JOB).iterdir())
    assert logs == ["00000-0.log", "00000-1.log", "00000-2.log"]
    assert service.task_log(JOB, 0).name == "00000-2.log"


def test_any_program_can_be_a_task(service):
    """Its exit code and its signals are seen through."""
    service.submit(a_spec(job_id="runner-a-1", command=("sh", "-c", "echo hello; exit 9")))
    service.submit(a_spec(job_id="runner-b-1", command=("sh", "-c", "kill -ABRT $$")))
    service.submit(a_spec(job_id="runner-c-1", command=("no-such-program",)))
    for job_id in ("runner-a-1", "runner-b-1", "runner-c-1"):
        finish(service, job_id)

    assert list(service.failed_tasks("runner-a-1")) == [TaskEnd(0, 9)]
    assert service.task_log("runner-a-1", 0).read_text().startswith("hello\n")
    assert list(service.failed_tasks("runner-b-1")) == [TaskEnd(0, 128 + signal.SIGABRT)]
    assert "no-such-program" in service.task_log("runner-c-1", 0).read_text()


def test_a_task_that_uses_too_much_memory_is_killed_and_told_why(service):
    """Seen as 137, like a container's."""
    service.submit(a_spec("allocate", 300, memory_mib=150))
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, 137)]
    log = service.task_log(JOB, 0).read_text()
    assert re.search(r"killed: it used \d+ MiB of memory, its limit is 150 MiB", log)


def test_a_task_that_ignores_sigterm_is_killed_all_the_same(make):
    """After the grace, when its time is up."""
    service = make(grace=0.2)
    service.submit(a_spec("stubborn", max_run_duration=1))
    until(lambda: service.running(JOB), service)
    ((_, pid, _),) = service.running(JOB)
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, TaskExit.TIMED_OUT)]
    assert not is_alive(pid)
    assert "max_run_duration" in service.task_log(JOB, 0).read_text()


def test_a_cancelled_task_has_no_exit_code_and_does_not_live_on(make):
    """137 would look like a lack of memory."""
    service = make(grace=0.2)
    service.submit(a_spec("stubborn", tasks=2))
    until(lambda: len(service.running(JOB)) == 2, service)
    until(lambda: all("ignoring" in service.task_log(JOB, n).read_text() for n in range(2)), service)
    pids = [pid for _, pid, _ in service.running(JOB)]

    service.cancel(JOB)
    assert finish(service).state is JobState.CANCELLED

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, None), TaskEnd(1, None)]
    assert not any(map(is_alive, pids))


def test_what_a_task_leaves_running_ends_with_it(service, tmp_path):
    """Its group is its own."""
    service.submit(a_spec("leave-child", tmp_path))

    assert finish(service).state is JobState.SUCCEEDED
    until(lambda: not is_alive(int((tmp_path / "left").read_text())))


def test_a_hundred_quick_tasks_all_run_once(service, tmp_path):
    """None lost between two rounds, none twice."""
    folder = tmp_path / "counts"
    folder.mkdir()
    service.submit(a_spec("count", folder, 0, tasks=100))

    assert finish(service).counts.succeeded == 100
    assert [(folder / str(n)).read_text() for n in range(100)] == ["began\nended\n"] * 100


def test_no_more_tasks_run_than_there_are_cores(make):
    """Over all jobs, the older first."""
    service = make(cores=2)
    service.submit(a_spec("sleep", 0.1, job_id="runner-a-1", tasks=3, parallelism=1))
    service.submit(a_spec("sleep", 0.1, job_id="runner-b-1", tasks=4))
    seen = set()

    def both_ended():
        seen.add((len(service.running("runner-a-1")), len(service.running("runner-b-1"))))
        return all(service.get(job_id).state.is_ended for job_id in ("runner-a-1", "runner-b-1"))

    until(both_ended, service)

    assert max(a for a, _ in seen) == 1
    assert max(a + b for a, b in seen) == 2


@pytest.mark.parametrize("trouble", ["preempt", "lose_vm"])
def test_a_machine_lost_on_purpose_costs_a_try(make, tmp_path, trouble):
    """As often as asked for, then it comes through."""
    folder = tmp_path / "counts"
    folder.mkdir()
    service = make(trouble=Trouble(**{trouble: {1: 2}}, within=0.1))
    service.submit(a_spec("count", folder, 0.3, tasks=2))

    assert finish(service).state is JobState.SUCCEEDED
    assert service.task_log(JOB, 1).name == "00001-2.log"
    assert service.task_log(JOB, 0).name == "00000-0.log"
    assert (folder / "0").read_text() == "began\nended\n"


def test_a_machine_lost_too_often_fails_the_task(make):
    """With the exit code that Batch reserves for it."""
    service = make(trouble=Trouble(preempt={0: 99}, within=0.0))
    service.submit(a_spec("exit", 0))
    finish(service)

    assert list(service.failed_tasks(JOB)) == [TaskEnd(0, TaskExit.PREEMPTED)]


def test_any_thread_may_submit_and_cancel_while_one_tends(service):
    """The work itself stays in one thread."""

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


def test_notifications_share_the_fate_of_what_they_tell(make, tmp_path):
    """A state that was not saved is not announced."""

    def fail(_):
        raise ConnectionError

    service = make(emit=fail)

    with pytest.raises(ConnectionError):
        service.submit(a_spec("exit", 0))

    assert service.get(JOB) is None


def test_the_queue_of_the_same_root_gets_the_notifications(make, kind, tmp_path):
    """As the run command wires them."""

    def announce(envelope):
        queue.put(envelope)

    service = make(emit=announce)
    queue = SqliteEventQueue(service._store.database)
    service.submit(a_spec("exit", 0))
    finish(service)

    messages = [delivery.envelope["data"]["message"]["attributes"] for delivery in iter(queue.take, None)]
    assert [message["NewJobState"] for message in messages] == ["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"]
    assert {message["JobUID"] for message in messages} == {service.get(JOB).uid}


def test_code_that_cannot_be_imported_is_wired_wrongly(make, kind):
    """A fork server says so at once; a process of its own can only fail."""
    service = make(module="no_such_module")
    service.submit(a_spec(command=("python", "-m", "no_such_module")))

    if kind == "fork":
        with pytest.raises(ConfigurationError, match="no_such_module"):
            service.tend(1)
    else:
        finish(service)
        assert "no_such_module" in service.task_log(JOB, 0).read_text()


def test_code_that_starts_threads_cannot_be_forked(make):
    """It would hang one day, somewhere."""
    service = make(kind="fork", module="threaded_tasks")
    service.submit(a_spec("exit", 0))

    with pytest.raises(ConfigurationError, match="left-over"):
        service.tend(1)


def test_the_same_id_with_other_labels_is_refused_for_an_ended_job_too(service):
    """An attempt is never taken for another."""
    service.submit(a_spec("exit", 0, labels={"orders": "a"}))
    finish(service)

    with pytest.raises(BadInput):
        service.submit(a_spec("exit", 0, labels={"orders": "b"}))
