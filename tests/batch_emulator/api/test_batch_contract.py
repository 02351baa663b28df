"""The calls of BatchService that make and show jobs, by Google's own client over both transports."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from support.batch_jobs import a_job, container, ran, script, tasks_of, violations

# -- create and get ------------------------------------------------------------------------------


def test_a_created_job_is_shown_as_asked_for_with_the_defaults(client, place):
    """And with the fields that the server fills in."""
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
    """Recognised by its request id."""
    request = batch_v1.CreateJobRequest(parent=place, job=a_job(), request_id=str(uuid.uuid4()))

    first, second = client.create_job(request), client.create_job(request)

    assert (first.name, first.uid) == (second.name, second.uid)
    assert len(list(client.list_jobs(parent=place))) == 1


@pytest.mark.parametrize("request_id", ["yes", "00000000-0000-0000-0000-000000000000"])
def test_an_invalid_request_id_is_refused(client, place, request_id):
    """It could not protect from a repetition."""
    request = batch_v1.CreateJobRequest(parent=place, job=a_job(), request_id=request_id)

    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(request)

    assert list(violations(caught.value)) == ["request_id"]


@pytest.mark.parametrize("job_id", ["Job", "1job", "job-", "job_1", "j" * 64, "job/1"])
def test_an_invalid_job_id_is_refused(client, place, job_id):
    """The protocol documents the pattern."""
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
    """Never ignored silently."""
    with pytest.raises(exceptions.BadRequest) as caught:
        client.create_job(parent=place, job=job)

    assert list(violations(caught.value)) == [field]


def test_all_problems_come_at_once(client, place):
    """Not one after the other."""
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
    """Counts by the names of the states; events worded like Batch's, which monitoring searches for."""
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
