"""The calls of BatchService, by Google's own client over both transports."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcAsyncIOTransport
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2
from support.batch_jobs import a_job, container, finished, ran, script, state_of, tasks_of, until, violations

SLOW = "sleep 600"

# -- create and get ------------------------------------------------------------------------------


def test_a_created_job_is_shown_as_asked_for_with_the_defaults(client, place):
    """And with what only the server knows."""
    asked = a_job(container("true"), tasks=3, labels={"team": "flu"}, priority=7)

    job = client.create_job(parent=place, job=asked, job_id="job-1")

    assert job.name == f"{place}/jobs/job-1"
    assert job.uid.startswith("job-1-")
    assert job.status.state == batch_v1.JobStatus.State.QUEUED
    assert abs(job.create_time - datetime.now(UTC)) < timedelta(minutes=5)
    assert (dict(job.labels), job.priority) == ({"team": "flu"}, 7)
    (group,) = job.task_groups
    assert group.name == f"{place}/jobs/job-1/taskGroups/group0"
    assert (group.task_count, group.parallelism) == (3, 3)
    assert group.task_spec.compute_resource == batch_v1.ComputeResource(cpu_milli=2000, memory_mib=2000)
    assert list(group.task_spec.runnables[0].container.commands) == ["true"]
    assert list(job.allocation_policy.location.allowed_locations) == ["regions/us-central1"]
    assert client.get_job(name=job.name).uid == job.uid


def test_a_job_without_an_id_gets_one(client, place):
    """As gcloud submits them."""
    first, second = (client.create_job(parent=place, job=a_job()) for _ in range(2))

    assert first.name != second.name
    assert client.get_job(name=first.name).uid == first.uid


def test_a_job_of_the_same_id_is_refused(client, place):
    """Over REST the client knows only that it is a conflict."""
    first = client.create_job(parent=place, job=a_job(), job_id="job-1")

    with pytest.raises(exceptions.Conflict, match=r"jobs/job-1"):
        client.create_job(parent=place, job=a_job(), job_id="job-1")

    assert client.get_job(name=first.name).uid == first.uid


def test_the_same_id_may_be_used_in_another_location(client, place):
    """Ids are unique in a project and location."""
    other = place.replace("us-central1", "europe-west1")
    first = client.create_job(parent=place, job=a_job(), job_id="job-1")
    second = client.create_job(parent=other, job=a_job(), job_id="job-1")

    assert first.uid != second.uid


def test_a_repeated_request_creates_one_job(client, place):
    """Told by its request id, whoever repeats it."""
    request = batch_v1.CreateJobRequest(parent=place, job=a_job(), request_id=str(uuid.uuid4()))

    first, second = client.create_job(request), client.create_job(request)

    assert (first.name, first.uid) == (second.name, second.uid)
    assert len(list(client.list_jobs(parent=place))) == 1


@pytest.mark.parametrize("request_id", ["yes", "00000000-0000-0000-0000-000000000000"])
def test_a_request_id_that_is_none_is_refused(client, place, request_id):
    """It would not protect from anything."""
    request = batch_v1.CreateJobRequest(parent=place, job=a_job(), request_id=request_id)

    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(request)

    assert list(violations(caught.value)) == ["request_id"]


@pytest.mark.parametrize("job_id", ["Job", "1job", "job-", "job_1", "j" * 64, "job/1"])
def test_a_job_id_that_is_none_is_refused(client, place, job_id):
    """The pattern stands in the protocol."""
    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(parent=place, job=a_job(), job_id=job_id)

    assert list(violations(caught.value)) == ["job_id"]


GROUP = "job.task_groups[0]"
SPEC = f"{GROUP}.task_spec"
RUNNABLE = f"{SPEC}.runnables[0]"
TOPIC = "projects/p/topics/t"
ON_ONE = {"action": "RETRY_TASK", "action_condition": {"exit_codes": [1]}}


@pytest.mark.parametrize(
    ("job", "field"),
    [
        ({"task_groups": []}, "job.task_groups"),
        ({"task_groups": [a_job()["task_groups"][0]] * 2}, "job.task_groups"),
        (a_job(tasks=100_001), f"{GROUP}.task_count"),
        (a_job(tasks=-1), f"{GROUP}.task_count"),
        (a_job(parallelism=5001), f"{GROUP}.parallelism"),
        (a_job(parallelism=2, tasks=2, scheduling_policy="IN_ORDER"), f"{GROUP}.parallelism"),
        (a_job(runnables=[]), f"{SPEC}.runnables"),
        (a_job(max_retry_count=11), f"{SPEC}.max_retry_count"),
        (a_job(max_retry_count=-1), f"{SPEC}.max_retry_count"),
        (a_job(max_run_duration=timedelta(seconds=-1)), f"{SPEC}.max_run_duration"),
        (a_job(compute_resource={"memory_mib": -1}), f"{SPEC}.compute_resource.memory_mib"),
        (a_job(lifecycle_policies=[ON_ONE, ON_ONE]), f"{SPEC}.lifecycle_policies"),
        (
            a_job(lifecycle_policies=[{"action": "RETRY_TASK"}]),
            f"{SPEC}.lifecycle_policies[0].action_condition.exit_codes",
        ),
        (a_job(environment={"variables": {"A-B": "1"}}), f"{SPEC}.environment.variables"),
        (a_job(environment={"secret_variables": {"A": "s"}}), f"{SPEC}.environment.secret_variables['A']"),
        (a_job({}), RUNNABLE),
        (a_job({"script": {}}), f"{RUNNABLE}.script"),
        (a_job(container("true", image_uri="")), f"{RUNNABLE}.container.image_uri"),
        (a_job(script("true", timeout=timedelta(seconds=-1))), f"{RUNNABLE}.timeout"),
        (a_job(priority=100), "job.priority"),
        (a_job(labels={"Team": "flu"}), "job.labels"),
        (a_job(labels={"goog-team": "flu"}), "job.labels"),
        (a_job(labels={"team": "Flu"}), "job.labels['team']"),
        (a_job(labels={"team": "f" * 64}), "job.labels['team']"),
        (a_job(labels={f"label-{n}": "" for n in range(64)}), "job.labels"),
        (a_job(allocation_policy={"instances": [{}, {}]}), "job.allocation_policy.instances"),
        (
            a_job(allocation_policy={"location": {"allowed_locations": ["regions/us-west1"]}}),
            "job.allocation_policy.location.allowed_locations[0]",
        ),
        (
            a_job(allocation_policy={"location": {"allowed_locations": ["us-central1"]}}),
            "job.allocation_policy.location.allowed_locations[0]",
        ),
        (a_job(notifications=[{"pubsub_topic": "t"}]), "job.notifications[0].pubsub_topic"),
        (
            a_job(
                notifications=[
                    {
                        "pubsub_topic": TOPIC,
                        "message": {"type_": "JOB_STATE_CHANGED", "new_task_state": "FAILED"},
                    }
                ]
            ),
            "job.notifications[0].message.new_task_state",
        ),
        (a_job("#" * (1 << 20)), "job"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_its_field(client, place, job, field):
    """And nothing is created."""
    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(parent=place, job=job)

    assert list(violations(caught.value)) == [field]
    assert field in caught.value.message
    assert not list(client.list_jobs(parent=place))


@pytest.mark.parametrize(
    ("job", "field"),
    [
        (a_job({"barrier": {}}), f"{RUNNABLE}.barrier"),
        (a_job({"container": {"image_uri": "image"}}), f"{RUNNABLE}.container.commands"),
        (a_job(container("true", options="--volume /a:/b")), f"{RUNNABLE}.container.options"),
        (a_job(container("a", volumes=["/a:/no/such/folder:ro"])), f"{RUNNABLE}.container.volumes[0]"),
        (
            a_job(volumes=[{"mount_path": "/no/such/folder", "gcs": {"remote_path": "b"}}]),
            f"{SPEC}.volumes[0].mount_path",
        ),
        (a_job(permissive_ssh=True), f"{GROUP}.permissive_ssh"),
        (a_job(require_hosts_file=True), f"{GROUP}.require_hosts_file"),
        (a_job(logs_policy={"destination": "PATH", "logs_path": "/l"}), "job.logs_policy.destination"),
        (a_job(environment={"encrypted_variables": {"key_name": "k"}}), f"{SPEC}.environment.encrypted_variables"),
        (
            a_job(environment={"secret_variables": {"A": "projects/p/secrets/s/versions/1"}}),
            f"{SPEC}.environment.secret_variables['A']",
        ),
        (a_job(script("true", background=True, timeout=timedelta(seconds=1))), f"{RUNNABLE}.timeout"),
        (a_job(labels={"mischief-preempt": "all"}), "job.labels['mischief-preempt']"),
        (a_job(labels={"mischief-fire": "1"}), "job.labels['mischief-fire']"),
    ],
)
def test_what_this_emulator_cannot_do_is_refused_by_its_field(client, place, job, field):
    """Rather than left out without a word."""
    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(parent=place, job=job)

    assert list(violations(caught.value)) == [field]


def test_all_problems_come_at_once(client, place):
    """One after the other would take an afternoon."""
    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(parent=place, job=a_job(tasks=-1, priority=100), job_id="Job")

    assert set(violations(caught.value)) == {"job_id", "job.priority", f"{GROUP}.task_count"}


def test_what_does_not_exist_is_not_found(client, place):
    """By its name."""
    for ask in (client.get_job, client.cancel_job, client.delete_job):
        with pytest.raises(exceptions.NotFound, match=f"{place}/jobs/none"):
            ask(name=f"{place}/jobs/none")
    with pytest.raises(exceptions.NotFound):
        list(client.list_tasks(parent=f"{place}/jobs/none/taskGroups/group0"))
    job = client.create_job(parent=place, job=a_job())
    for task in ("group0/tasks/1", "group1/tasks/0", "group0/tasks/x", "group0/tasks/00"):
        with pytest.raises(exceptions.NotFound, match=f"taskGroups/{task}"):
            client.get_task(name=f"{job.name}/taskGroups/{task}")
    with pytest.raises(exceptions.NotFound, match="group1"):
        list(client.list_tasks(parent=f"{job.name}/taskGroups/group1"))


# -- status --------------------------------------------------------------------------------------


def test_the_status_of_a_job_tells_what_became_of_it(client, place):
    """Counts by the names of the states; events in Batch's words, which monitors look for."""
    job = ran(client, place, a_job("test $BATCH_TASK_INDEX != 1", tasks=3), "job-1")

    assert job.status.state == batch_v1.JobStatus.State.FAILED
    assert dict(job.status.task_groups["group0"].counts) == {"SUCCEEDED": 2, "FAILED": 1}
    assert job.status.run_duration > timedelta(0)
    assert job.update_time >= job.create_time
    words = [event.description for event in job.status.status_events]
    assert words[0] == f"Job state is set from QUEUED to SCHEDULED for job {job.name}."
    assert words[1] == f"Job state is set from SCHEDULED to RUNNING for job {job.name}."
    assert words[2].startswith(f"Job state is set from RUNNING to FAILED for job {job.name}. Job failed due to")
    assert "task with index 1 failed" in words[2]
    assert "with exit code 1." in words[2]
    assert {event.type_ for event in job.status.status_events} == {"STATUS_CHANGED"}


def test_the_events_of_a_task_carry_its_exit_codes(client, place):
    """One for each try."""
    job = ran(client, place, a_job("exit $((3 + BATCH_TASK_RETRY_ATTEMPT))", max_retry_count=1))

    (task,) = tasks_of(client, job)

    State = batch_v1.TaskStatus.State  # noqa: N806 - a class
    events = task.status.status_events
    assert [event.task_state for event in events] == [
        State.RUNNING,
        State.FAILED,
        State.PENDING,
        State.RUNNING,
        State.FAILED,
    ]
    assert [event.task_execution.exit_code for event in events if event.task_state == State.FAILED] == [3, 4]
    assert events == sorted(events, key=lambda event: event.event_time)
    assert client.get_task(name=task.name) == task


# -- lists ---------------------------------------------------------------------------------------


def test_a_long_list_comes_in_pages(client, place):
    """Each job once."""
    names = [client.create_job(parent=place, job=a_job(), job_id=f"job-{n}").name for n in range(7)]

    pages = list(client.list_jobs({"parent": place, "page_size": 3, "order_by": "name"}).pages)

    assert [[job.name for job in page.jobs] for page in pages] == [names[:3], names[3:6], names[6:]]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", ["a", "b", "c"]),
        ("name desc", ["c", "b", "a"]),
        ("create_time", ["b", "a", "c"]),
        ("create_time desc", ["c", "a", "b"]),
        ("", ["c", "a", "b"]),
    ],
)
def test_a_list_is_ordered(client, place, order, expected):
    """As the protocol allows; the newest first unless asked otherwise."""
    for job_id in ("b", "a", "c"):
        client.create_job(parent=place, job=a_job(), job_id=job_id)

    jobs = list(client.list_jobs({"parent": place, "order_by": order, "page_size": 2}))

    assert [job.name.rsplit("/", 1)[1] for job in jobs] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status.state=FAILED", ["bad"]),
        ('status.state = "SUCCEEDED"', ["good"]),
        ("state!=FAILED AND labels.team=flu", ["good"]),
        ("labels.team=flu OR labels.team=covid", ["bad", "good"]),
        ("NOT labels.team=flu", ["bad"]),
        ("-state=FAILED", ["good"]),
        ("name=projects/*", ["bad", "good"]),
        ("labels:team", ["bad", "good"]),
        ("labels.none:*", []),
        ("name:jobs/goo", ["good"]),
        ("createTime > 2020-01-01T00:00:00Z", ["bad", "good"]),
        ('create_time < "2020-01-01T00:00:00Z"', []),
        ("priority>=5", ["good"]),
        ("(state=FAILED)", ["bad"]),
    ],
)
def test_a_list_is_filtered(client, place, text, expected):
    """By the expressions that people use."""
    ran(client, place, a_job("true", labels={"team": "flu"}, priority=5), "good")
    ran(client, place, a_job("false", labels={"team": "covid"}), "bad")

    jobs = client.list_jobs({"parent": place, "filter": text, "order_by": "name"})

    assert [job.name.rsplit("/", 1)[1] for job in jobs] == expected


def test_a_list_of_all_locations_is_whole(client, place):
    """The location '-' stands for all of them."""
    other = place.replace("us-central1", "europe-west1")
    names = [client.create_job(parent=parent, job=a_job()).name for parent in (place, other)]

    everywhere = client.list_jobs(parent=place.replace("us-central1", "-"))

    assert sorted(job.name for job in everywhere) == sorted(names)
    assert [job.name for job in client.list_jobs(parent=place)] == names[:1]


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"order_by": "priority"}, "order_by"),
        ({"filter": "colour=red"}, "filter"),
        ({"filter": "state="}, "filter"),
        ({"filter": "(state=FAILED"}, "filter"),
        ({"filter": "create_time>yesterday"}, "filter"),
        ({"filter": "(" * 1000}, "filter"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"page_token": "Nw=="}, "page_token"),
        ({"page_token": "WyIiXQ=="}, "page_token"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client, place, question, field):
    """By its field."""
    with pytest.raises(exceptions.BadRequest) as caught:
        list(client.list_jobs({"parent": place, **question}))

    assert list(violations(caught.value)) == [field]


def test_a_page_token_is_good_for_its_own_question_only(client, place):
    """Else pages would have gaps that nobody sees."""
    for _ in range(2):
        client.create_job(parent=place, job=a_job())
    token = next(client.list_jobs({"parent": place, "page_size": 1}).pages).next_page_token
    assert token

    with pytest.raises(exceptions.BadRequest) as caught:
        list(client.list_jobs({"parent": place, "page_size": 1, "page_token": token, "filter": "state=FAILED"}))

    assert list(violations(caught.value)) == ["page_token"]


def test_tasks_are_listed_in_order_and_by_state(client, place):
    """Page by page."""
    job = ran(client, place, a_job("exit $((BATCH_TASK_INDEX % 2))", tasks=5))
    parent = f"{job.name}/taskGroups/group0"

    pages = list(client.list_tasks({"parent": parent, "page_size": 2}).pages)
    failed = list(client.list_tasks({"parent": parent, "filter": "State=FAILED", "page_size": 1}))

    assert [[task.name for task in page.tasks] for page in pages] == [
        [f"{parent}/tasks/0", f"{parent}/tasks/1"],
        [f"{parent}/tasks/2", f"{parent}/tasks/3"],
        [f"{parent}/tasks/4"],
    ]
    assert [task.name for task in failed] == [f"{parent}/tasks/1", f"{parent}/tasks/3"]


# -- cancel and delete ---------------------------------------------------------------------------


def test_a_cancelled_job_ends_and_keeps_its_history(client, place):
    """The operation is done when the job is cancelled."""
    job = client.create_job(parent=place, job=a_job(SLOW, tasks=4, parallelism=1))
    until(lambda: state_of(client, job.name) == "RUNNING")

    operation = client.cancel_job(name=job.name)

    assert (operation.metadata.target, operation.metadata.verb) == (job.name, "cancel")
    assert operation.result(timeout=60) == batch_v1.CancelJobResponse()
    assert operation.metadata.end_time >= operation.metadata.create_time
    assert state_of(client, job.name) == "CANCELLED"
    states = [task.status.state.name for task in tasks_of(client, job)]
    assert states == ["FAILED", "UNEXECUTED", "UNEXECUTED", "UNEXECUTED"]


def test_a_job_that_has_ended_cannot_be_cancelled(client, place):
    """A guess about real Batch: its documentation does not say."""
    job = ran(client, place, a_job())

    with pytest.raises(exceptions.BadRequest, match="SUCCEEDED"):
        client.cancel_job(name=job.name)


def test_cancelling_twice_is_harmless(client, place):
    """While it is being cancelled, and with the same request id after that."""
    job = client.create_job(parent=place, job=a_job("trap '' TERM; " + SLOW))
    until(lambda: state_of(client, job.name) == "RUNNING")
    request = batch_v1.CancelJobRequest(name=job.name, request_id=str(uuid.uuid4()))

    first = client.cancel_job(request)
    client.cancel_job(name=job.name).result(timeout=60)
    again = client.cancel_job(request)

    assert again.operation.name == first.operation.name
    assert again.done()


def test_a_deleted_job_is_gone(client, place):
    """While it ran, too; its tasks are ended first."""
    job = client.create_job(parent=place, job=a_job("trap 'sleep 0.5; exit' TERM; sleep 600 & wait"), job_id="job-1")
    until(lambda: state_of(client, job.name) == "RUNNING")

    operation = client.delete_job(name=job.name)

    assert state_of(client, job.name) == "DELETION_IN_PROGRESS"
    assert operation.metadata.verb == "delete"
    operation.result(timeout=60)
    with pytest.raises(exceptions.NotFound):
        client.get_job(name=job.name)
    assert not list(client.list_jobs(parent=place))


def test_the_id_of_a_deleted_job_is_free(client, place):
    """The new job has a uid of its own."""
    first = ran(client, place, a_job(), "job-1")
    client.delete_job(name=first.name).result(timeout=60)

    second = ran(client, place, a_job(), "job-1")

    assert second.uid != first.uid
    assert second.status.state == batch_v1.JobStatus.State.SUCCEEDED


def test_operations_can_be_looked_up_and_forgotten(client, place):
    """As long as somebody is interested in them."""
    job = client.create_job(parent=place, job=a_job(SLOW))
    name = client.cancel_job(name=job.name).operation.name
    until(lambda: client.get_operation(operations_pb2.GetOperationRequest(name=name)).done)

    listed = client.list_operations(operations_pb2.ListOperationsRequest(name=place))
    assert [operation.name for operation in listed.operations] == [name]
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        client.cancel_operation(operations_pb2.CancelOperationRequest(name=name))
    assert caught.value.code in {501, 400}
    client.delete_operation(operations_pb2.DeleteOperationRequest(name=name))
    with pytest.raises(exceptions.NotFound):
        client.get_operation(operations_pb2.GetOperationRequest(name=name))


def test_an_operation_can_be_waited_for(clients, place):
    """Over gRPC, where the protocol has it."""
    client = clients["grpc"]
    job = client.create_job(parent=place, job=a_job(SLOW))
    until(lambda: state_of(client, job.name) == "RUNNING")
    name = client.cancel_job(name=job.name).operation.name

    wait = client.transport.grpc_channel.unary_unary(
        "/google.longrunning.Operations/WaitOperation",
        operations_pb2.WaitOperationRequest.SerializeToString,
        operations_pb2.Operation.FromString,
    )

    assert wait(operations_pb2.WaitOperationRequest(name=name)).done


def test_locations_are_those_that_have_jobs(client, place):
    """Any other name would do as well."""
    client.create_job(parent=place, job=a_job())
    project = place.split("/locations", maxsplit=1)[0]

    listed = client.list_locations(locations_pb2.ListLocationsRequest(name=project))

    assert [location.location_id for location in listed.locations] == ["us-central1"]
    assert client.get_location(locations_pb2.GetLocationRequest(name=place)).name == place


def test_the_asynchronous_client_works_too(served, place):
    """Over gRPC."""

    async def create_and_get():
        channel = grpc.aio.insecure_channel(served.grpc_address)
        client = batch_v1.BatchServiceAsyncClient(transport=BatchServiceGrpcAsyncIOTransport(channel=channel))
        job = await client.create_job(parent=place, job=a_job())
        found = [found.name async for found in await client.list_jobs(parent=place)]
        await channel.close()
        return job.name, found

    name, found = asyncio.run(create_and_get())

    assert found == [name]


def test_many_clients_at_once_are_served(clients, place):
    """Each of twenty threads gets its own job, and the shared one is created once."""
    from concurrent.futures import ThreadPoolExecutor

    client = clients["grpc"]

    def create(n):
        client.create_job(parent=place, job=a_job(), job_id=f"job-{n}")
        try:
            return client.create_job(parent=place, job=a_job(), job_id="shared").uid
        except exceptions.AlreadyExists:
            return None

    with ThreadPoolExecutor(20) as threads:
        uids = list(threads.map(create, range(20)))

    assert len([uid for uid in uids if uid]) == 1
    assert len(list(client.list_jobs(parent=place))) == 21
    for n in range(20):
        assert finished(client, f"{place}/jobs/job-{n}").status.state == batch_v1.JobStatus.State.SUCCEEDED
