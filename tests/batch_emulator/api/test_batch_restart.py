"""The state folder outlives the server: jobs, tasks at work, notifications, operations."""

from __future__ import annotations

import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from google.longrunning import operations_pb2
from support.batch_jobs import (
    a_job,
    a_server,
    container,
    exit_codes,
    finished,
    grpc_client,
    is_alive,
    ran,
    script,
    state_of,
    tasks_of,
    until,
)
from support.engine_jobs import TASK_PATH

from batch_emulator.engine.errors import SetupError, UnavailableError
from batch_emulator.state.schema import open_state

PLACE = "projects/p/locations/us-central1"
JOB = f"{PLACE}/jobs/job-1"


@pytest.fixture
def server(tmp_path):
    """Starts a server on the folder of this test; stopped at the end of the block."""
    return lambda **changes: a_server(tmp_path, **changes)


def test_jobs_survive_a_restart(server):
    """Unchanged."""
    with server() as served:
        before = ran(grpc_client(served), PLACE, a_job("exit $BATCH_TASK_INDEX", tasks=2), "job-1")

    with server() as served:
        client = grpc_client(served)
        assert client.get_job(name=JOB) == before
        assert [exit_codes(task) for task in tasks_of(client, before)] == [[0], [1]]


def test_tasks_that_were_at_work_run_again(server, tmp_path):
    """Without loss of a retry; what had ended stays ended."""
    gate, began = tmp_path / "gate", tmp_path / "began"
    text = f"echo $BATCH_TASK_INDEX >> {began}; test $BATCH_TASK_INDEX = 0 || until test -e {gate}; do sleep 0.02; done"
    with server() as served:
        client = grpc_client(served)
        client.create_job(parent=PLACE, job=a_job(text, tasks=3), job_id="job-1")
        until(lambda: began.exists() and len(began.read_text().split()) == 3)
    gate.touch()

    with server() as served:
        client = grpc_client(served)
        job = finished(client, JOB)

    assert job.status.state.name == "SUCCEEDED"
    assert sorted(began.read_text().split()) == ["0", "1", "1", "2", "2"]


def test_a_cancellation_and_a_deletion_outlive_the_server(server):
    """The next one carries them out, and their operations end."""
    with server() as served:
        client = grpc_client(served)
        held = a_job(labels={"mischief-hold": "queued"})
        names = [client.create_job(parent=PLACE, job=held, job_id=job_id).name for job_id in ("job-1", "job-2")]
        # Requested while no worker runs, as if it had died just now.
        served.worker.close()
        operations = [client.cancel_job(name=names[0]).operation, client.delete_job(name=names[1]).operation]
        assert state_of(client, names[0]) == "CANCELLATION_IN_PROGRESS"

    with server() as served:
        client = grpc_client(served)
        for operation in operations:
            until(lambda name=operation.name: client.get_operation(operations_pb2.GetOperationRequest(name=name)).done)
        assert state_of(client, names[0]) == "CANCELLED"
        assert [job.name for job in client.list_jobs(parent=PLACE)] == names[:1]


def test_a_request_repeated_after_a_restart_creates_nothing(server):
    """Its id is kept for an hour."""
    request = batch_v1.CreateJobRequest(
        parent=PLACE, job=a_job(), job_id="job-1", request_id="9e2a4f0c-98b8-4d35-9c33-4bd5b0a9f6d1"
    )
    with server() as served:
        first = grpc_client(served).create_job(request)

    with server() as served:
        client = grpc_client(served)
        assert client.create_job(request).uid == first.uid


def test_notifications_that_were_not_out_yet_go_out_after_a_restart(server):
    """They wait in the state file."""

    def refuse(notification):
        raise ConnectionError("not now")

    sent = []
    wanted = [{"pubsub_topic": "projects/p/topics/t", "message": {"new_job_state": "SUCCEEDED"}}]
    with server(publish=refuse) as served:
        ran(grpc_client(served), PLACE, a_job(notifications=wanted), "job-1")

    with server(publish=sent.append):
        until(lambda: sent)

    assert sent[0].attributes["NewJobState"] == "SUCCEEDED"


def test_a_secret_that_the_next_server_does_not_know_fails_the_job(server):
    """The event names the secret."""
    secret = "projects/p/secrets/s/versions/1"
    job = a_job(script("true", environment={"secret_variables": {"A": secret}}), labels={"mischief-hold": "queued-1s"})
    with server(secrets={secret: "x"}) as served:
        grpc_client(served).create_job(parent=PLACE, job=job, job_id="job-1")

    with server() as served:
        client = grpc_client(served)
        failed = finished(client, JOB)

    assert failed.status.state.name == "FAILED"
    assert secret in failed.status.status_events[-1].description


def test_a_folder_has_one_server_at_a_time(server):
    """The error of the second names the process of the first."""
    with server(), pytest.raises(UnavailableError, match="runs the tasks"), server():
        pass


def test_a_port_that_is_taken_is_named(server, tmp_path):
    """And leaves nothing behind: the same folder can be served after that."""
    with a_server(tmp_path / "other") as other:
        for option, address in (("grpc_port", other.grpc_address), ("rest_port", other.rest_url)):
            taken = int(address.rsplit(":", 1)[1])
            with pytest.raises(SetupError, match=str(taken)), server(**{option: taken}):
                pass

    with server() as served:
        assert state_of(grpc_client(served), ran(grpc_client(served), PLACE, a_job()).name) == "SUCCEEDED"


def test_jobs_of_another_version_are_refused(server, tmp_path):
    """They might be misread."""
    with server():
        pass
    database = open_state(tmp_path)
    with database.transaction() as connection:
        connection.execute("UPDATE batch_version SET version = 99")
    database.close()

    with pytest.raises(SetupError, match="version 99"), server():
        pass


def test_a_module_that_cannot_be_preloaded_is_reported_at_once(server):
    """Before anything is served."""
    with pytest.raises(SetupError, match="no_such_module"), server(preload=("no_such_module",)):
        pass


def test_a_server_whose_tasks_cannot_be_run_says_so(server, monkeypatch):
    """To clients that create a job, and to the program that started the server."""

    def fail(self, timeout):
        raise SetupError("the disk is gone")

    monkeypatch.setattr("batch_emulator.engine.supervisor.Supervisor.step", fail)

    def use():
        with server() as served:
            until(lambda: served.worker.failure)
            with pytest.raises(exceptions.ServiceUnavailable, match="the disk is gone"):
                grpc_client(served).create_job(parent=PLACE, job=a_job())

    with pytest.raises(SetupError, match="the disk is gone"):
        use()


def test_no_task_survives_its_server_whatever_it_ignores(server, tmp_path):
    """SIGTERM is followed by SIGKILL."""
    pid_file = tmp_path / "pid"
    with server() as served:
        client = grpc_client(served)
        client.create_job(parent=PLACE, job=a_job(f"trap '' TERM; echo $$ > {pid_file}; sleep 600"), job_id="job-1")
        until(lambda: pid_file.exists() and pid_file.read_text())

    assert not is_alive(int(pid_file.read_text()))


def test_many_tasks_all_run_and_are_all_listed(server):
    """Page by page; each once."""
    here = {"PYTHONPATH": TASK_PATH}
    with server(env=here, preload=("preloaded_stage",)) as served:
        client = grpc_client(served)
        stage = container("python", "-m", "preloaded_stage", "fail-each", "50")
        job = ran(client, PLACE, a_job(stage, tasks=150), "job-1")
        parent = f"{job.name}/taskGroups/group0"
        tasks = list(client.list_tasks({"parent": parent, "page_size": 70}))
        failed = list(client.list_tasks({"parent": parent, "filter": "state=FAILED"}))

    assert dict(job.status.task_groups["group0"].counts) == {"SUCCEEDED": 147, "FAILED": 3}
    assert [task.name for task in tasks] == [f"{parent}/tasks/{index}" for index in range(150)]
    assert [task.name for task in failed] == [f"{parent}/tasks/{index}" for index in (7, 57, 107)]


def test_thousands_of_tasks_can_be_created_and_cancelled(server):
    """All of them end, though most never ran."""
    with server() as served:
        client = grpc_client(served)
        job = client.create_job(parent=PLACE, job=a_job("sleep 600", tasks=10_000), job_id="job-1")
        until(lambda: state_of(client, job.name) == "RUNNING")
        client.cancel_job(name=job.name).result(timeout=900)
        counts = client.get_job(name=job.name).status.task_groups["group0"].counts

    assert counts["UNEXECUTED"] + counts["FAILED"] == 10_000
