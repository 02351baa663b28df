"""The job service on Cloud Batch keeps the contract, by Google's own client on the emulator, over gRPC and REST."""

from __future__ import annotations

import pytest
from contracts.job_service import JobServiceContract
from google.api_core.exceptions import AlreadyExists, FailedPrecondition, PermissionDenied, ServiceUnavailable
from google.api_core.exceptions import NotFound as GoogleNotFound
from google.cloud import batch_v1
from google.cloud.batch_v1.types import StatusEvent, Task, TaskExecution, TaskStatus
from support.engine_jobs import TASK_PATH
from support.local_jobs import a_spec, until

from batch_emulator.options import ServerOptions
from batch_emulator.server import serve
from epydrop.core.jobs import JobState, TaskEnd, TaskExit
from epydrop.errors import ConfigurationError, RetryableError
from epydrop.gcp.batch_client import batch_client
from epydrop.gcp.batch_request import Surroundings
from epydrop.gcp.job_service import BatchJobService

JOB = "runner-x-1"
PARENT = "projects/demo-p/locations/us-east1"
TOPIC = "projects/demo-p/topics/epydrop-batch"
AROUND = Surroundings("us-east1", "host/p/r/stage", TOPIC, "batch@p", "n", "s", secrets={})


@pytest.fixture
def notifications():
    return []


@pytest.fixture
def served(tmp_path, notifications):
    """The emulator, whose tasks find the sample tasks."""
    env = {"PYTHONPATH": TASK_PATH}
    options = ServerOptions(tmp_path, parallelism=2, env=env, publish=notifications.append, preload=("sample_tasks",))
    with serve(options) as served:
        yield served


@pytest.fixture(params=["grpc", "rest"])
def client(request, served):
    client = batch_client(f"grpc://{served.grpc_address}" if request.param == "grpc" else served.rest_url)
    yield client
    client.transport.close()


@pytest.fixture
def service(client):
    return BatchJobService(client, PARENT, AROUND)


def finish(service, job_id=JOB):
    until(lambda: service.get(job_id).state.is_ended)
    return service.get(job_id)


class TestBatchJobService(JobServiceContract):
    """The contract, with Google's client behind the service's back."""

    @pytest.fixture(autouse=True)
    def _raw(self, client, notifications):
        self._client = client
        self._notifications = notifications

    def finish(self, service, job_id):
        state = finish(service, job_id).state
        until(lambda: (job_id, state) in self.announced())

    def begin(self, service, job_id):
        until(lambda: service.get(job_id).counts.running)

    def occupy(self, service):
        service.submit(a_spec("sleep", 600, job_id="runner-busy-1", tasks=2))
        until(lambda: service.get("runner-busy-1").counts.running == 2)

    def announced(self):
        told = [notification.attributes for notification in self._notifications]
        return [(one["JobName"].rpartition("/")[2], JobState(one["NewJobState"])) for one in told]

    def raw_jobs(self):
        return [job.name.rpartition("/")[2] for job in self._client.list_jobs(parent=PARENT)]


def test_a_cancelled_job_keeps_its_history(service, client):
    """Deleting it would erase why it was cancelled."""
    service.submit(a_spec("sleep", 600))
    service.cancel(JOB)
    finish(service)

    events = client.get_job(name=f"{PARENT}/jobs/{JOB}").status.status_events
    assert [event.description for event in events]


def a_task(position, *events, state=TaskStatus.State.FAILED):
    """A task as Batch lists it: each event is its second and its exit code, None for an event that is no end."""
    status = TaskStatus(
        state=state,
        status_events=[
            StatusEvent(
                event_time={"seconds": second},
                **({} if code is None else {"task_execution": TaskExecution(exit_code=code)}),
            )
            for second, code in events
        ],
    )
    return Task(name=f"{PARENT}/jobs/{JOB}/taskGroups/group0/tasks/{position}", status=status)


class Listed:
    """A client that lists these tasks in each state, as its pager would."""

    def __init__(self, **tasks):
        self._tasks = tasks

    def list_tasks(self, request):
        return iter(self._tasks.get(request.filter.removeprefix("State="), ()))


def test_the_exit_code_that_stands_is_that_of_the_last_event():
    """In time, not in the list; events between the tries have none."""
    listed = Listed(
        FAILED=[
            a_task(7, (1, TaskExit.PREEMPTED), (3, 137), (2, TaskExit.REBOOTED), (4, None)),
            a_task(0, (1, 65)),
            a_task(3),
        ],
        UNEXECUTED=[a_task(5, state=TaskStatus.State.UNEXECUTED), a_task(1, state=TaskStatus.State.UNEXECUTED)],
    )

    ends = BatchJobService(listed, PARENT, AROUND).failed_tasks(JOB)

    assert list(ends) == [TaskEnd(0, 65), TaskEnd(1, None), TaskEnd(3, None), TaskEnd(5, None), TaskEnd(7, 137)]


class Answering:
    """A client whose every call gives this, or raises it."""

    def __init__(self, answer):
        self._answer = answer

    def __getattr__(self, name):
        def call(**_given):
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return call


def test_labels_that_batch_adds_are_no_contradiction():
    """It may mark jobs for purposes of its own."""

    class Existing(Answering):
        def create_job(self, request):
            raise AlreadyExists("there is one")

    job = batch_v1.Job(name=f"{PARENT}/jobs/{JOB}", labels={"orders": "a", "goog-made": "x"})

    view = BatchJobService(Existing(job), PARENT, AROUND).submit(a_spec("exit", 0, labels={"orders": "a"}))

    assert view.labels["goog-made"] == "x"


@pytest.mark.filterwarnings("ignore:Unrecognized State enum value")
@pytest.mark.parametrize(("state", "ours"), [(8, JobState.CANCELLED), (99, JobState.RUNNING), (0, JobState.RUNNING)])
def test_a_state_that_we_do_not_know_is_looked_at_again(state, ours):
    """Nothing is concluded from it."""
    job = batch_v1.Job(name=f"{PARENT}/jobs/{JOB}", uid="u", status={"state": state})

    assert BatchJobService(Answering(job), PARENT, AROUND).get(JOB).state is ours


def test_before_batch_counts_all_tasks_are_to_come():
    """A job that was just created has no counts yet."""
    job = batch_v1.Job(name=f"{PARENT}/jobs/{JOB}", task_groups=[{"task_count": 40}])

    assert BatchJobService(Answering(job), PARENT, AROUND).get(JOB).counts.pending == 40


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (PermissionDenied("batch.jobs.create"), ConfigurationError),
        (ServiceUnavailable("down"), RetryableError),
        (FailedPrecondition("not now"), RetryableError),
    ],
)
def test_errors_of_batch_are_ours(error, ours):
    """What somebody must fix, and what may pass; a message names the job."""
    service = BatchJobService(Answering(error), PARENT, AROUND)

    with pytest.raises(ours, match=JOB):
        service.submit(a_spec("exit", 0))


def test_a_project_or_region_that_is_not_there_is_said():
    """The API may be switched off as well; either way, somebody must fix it."""
    elsewhere = BatchJobService(Answering(GoogleNotFound("no such location")), PARENT, AROUND)

    with pytest.raises(ConfigurationError, match="is the Batch API on"):
        elsewhere.submit(a_spec("exit", 0))
