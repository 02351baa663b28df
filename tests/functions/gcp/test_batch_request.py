"""What is sent to Cloud Batch, seen on Google's own message."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from google.cloud import batch_v1
from support.cloud_settings import CLOUD
from support.factories import NOW, RUN_ID, SIZE, a_plan, a_run, an_attempt

from epydrop.core.attempts import next_attempt
from epydrop.core.jobs import JobSpec, job_spec
from epydrop.core.phases import Phase
from epydrop.errors import BadInput, ConfigurationError
from epydrop.formats.names import Stage
from epydrop.gcp.batch_client import batch_client
from epydrop.gcp.batch_request import Surroundings, batch_job
from epydrop.settings import read_cloud_settings

RUN_URL = f"gs://data/epydrop/flu/{RUN_ID}/"
IMAGE = f"sha256:{'ab' * 32}"
AROUND = Surroundings.of(
    read_cloud_settings({**CLOUD, "EPYDROP_GITHUB_PAT_SECRET": "projects/p/secrets/github-pat/versions/latest"})
)


def spec_of(stage: Stage = Stage.RUNNER, **changes: object) -> JobSpec:
    """The job of a stage's first attempt; changes are of its resources."""
    size = replace(SIZE, **{"image": IMAGE, "machine_type": "c4d-standard-2", **changes})
    return job_spec(an_attempt(stage, resources=size).orders, RUN_URL, "ab12")


def job_of(stage: Stage = Stage.RUNNER, around: Surroundings = AROUND, **changes: object) -> batch_v1.Job:
    return batch_job(spec_of(stage, **changes), around)


def task_of(job: batch_v1.Job) -> batch_v1.TaskSpec:
    return job.task_groups[0].task_spec


def test_one_task_group_with_one_container() -> None:
    """By digest, with a command of its own, whatever the image's is."""
    job = job_of(tasks_per_vm=2)

    (group,) = job.task_groups
    assert (group.task_count, group.parallelism, group.task_count_per_node) == (4, 4, 2)
    (runnable,) = group.task_spec.runnables
    assert runnable.container.image_uri == f"us-east1-docker.pkg.dev/p/epydrop/stage@{IMAGE}"
    assert runnable.container.entrypoint == "python"
    assert list(runnable.container.commands) == ["-m", "epydrop_stages", "runner"]


def test_memory_is_limited_for_the_container_itself() -> None:
    """And image streaming is off, which would drop the limit without a word."""
    container = task_of(job_of()).runnables[0].container

    assert container.options == "--memory=4000m"
    assert container.enable_image_streaming is False


def test_sizes_and_limits() -> None:
    """Batch's own defaults, 2 vCPU and 2000 MiB, would pack tasks otherwise."""
    task = task_of(job_of())

    assert (task.compute_resource.cpu_milli, task.compute_resource.memory_mib) == (2000, 4000)
    assert task.max_run_duration.seconds == 3600


def test_what_may_pass_is_tried_again_by_batch_itself() -> None:
    """All other exit codes fail at once."""
    task = task_of(job_of())

    assert task.max_retry_count == 3
    (policy,) = task.lifecycle_policies
    assert policy.action is batch_v1.LifecyclePolicy.Action.RETRY_TASK
    assert list(policy.action_condition.exit_codes) == [50001, 50002, 50003, 50004, 50006, 75]


def test_without_retries_there_is_no_policy_for_them() -> None:
    """Batch takes none then."""
    job = batch_job(replace(spec_of(), max_task_retries=0), AROUND)

    assert (task_of(job).max_retry_count, list(task_of(job).lifecycle_policies)) == (0, [])


def test_a_stage_is_told_where_its_run_is_and_its_attempt() -> None:
    """Everything else stands in its orders."""
    variables = task_of(job_of()).environment.variables

    assert dict(variables) == {"EPYDROP_RUN_URL": RUN_URL, "EPYDROP_ATTEMPT": "1", "EPYDROP_ORDERS_SHA256": "ab12"}


@pytest.mark.parametrize("stage", Stage)
def test_secrets_are_named_and_not_told(stage: Stage) -> None:
    """The key goes to every stage, the token to the builder alone."""
    secrets = {"EPYDROP_SIGNING_KEY": "projects/p/secrets/epydrop-signing-key/versions/1"}
    if stage is Stage.BUILDER:
        secrets["GITHUB_PAT"] = "projects/p/secrets/github-pat/versions/latest"

    assert dict(task_of(job_of(stage)).environment.secret_variables) == secrets


def test_a_token_that_is_not_configured_is_not_asked_for() -> None:
    """A job that names a secret which is not there fails."""
    around = Surroundings.of(read_cloud_settings(CLOUD))

    assert set(task_of(job_of(Stage.BUILDER, around)).environment.secret_variables) == {"EPYDROP_SIGNING_KEY"}


def test_the_same_labels_on_the_job_and_its_machines() -> None:
    """Costs are told by the machines', dashboards by the job's; all are legal for Google."""
    run = a_run(
        Phase.BUILDER, exp_id="Flu/2026w47", plan=a_plan(labels={"environment": "prod", "billing_project": "X"})
    )
    orders = next_attempt(run, Stage.BUILDER, NOW).orders
    job = batch_job(job_spec(orders, RUN_URL, "ab12"), AROUND)

    assert dict(job.labels) == dict(job.allocation_policy.labels)
    assert {"component", "stage", "exp_id", "run_id", "attempt", "environment", "managed-by", "orders"} <= set(
        job.labels
    )
    for key, value in job.labels.items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)


def test_machines_have_no_address_of_their_own() -> None:
    """They reach Google's services and the repository through the network they are given."""
    policy = job_of().allocation_policy

    (interface,) = policy.network.network_interfaces
    assert interface.no_external_ip_address
    assert interface.network == "projects/p/global/networks/epydrop"
    assert interface.subnetwork == "projects/p/regions/us-east1/subnetworks/epydrop"
    assert policy.service_account.email == "epydrop-batch@p.iam.gserviceaccount.com"
    assert list(policy.location.allowed_locations) == ["regions/us-east1"]


@pytest.mark.parametrize(
    ("kind", "disk"),
    [
        ("c4d-standard-2", "hyperdisk-balanced"),
        ("c4-highmem-4", "hyperdisk-balanced"),
        ("n4-standard-2", "hyperdisk-balanced"),
        ("e2-standard-2", "pd-balanced"),
        ("n2d-highcpu-8", "pd-balanced"),
    ],
)
def test_a_machine_boots_from_a_disk_that_it_can_have(kind: str, disk: str) -> None:
    """Batch's default does not exist for the newer families."""
    policy = job_of(machine_type=kind).allocation_policy.instances[0].policy

    assert (policy.machine_type, policy.boot_disk.type_) == (kind, disk)


def test_without_a_machine_type_batch_picks_machine_and_disk() -> None:
    """Nothing is named that could contradict its choice."""
    policy = job_of(machine_type="").allocation_policy.instances[0].policy

    assert policy.machine_type == ""
    assert "boot_disk" not in policy


@pytest.mark.parametrize(("spot", "model"), [(True, "SPOT"), (False, "STANDARD")])
def test_spot_is_asked_for_by_name(spot: bool, model: str) -> None:
    """So is its absence."""
    assert job_of(spot=spot).allocation_policy.instances[0].policy.provisioning_model.name == model


def test_logs_are_kept_and_every_state_is_told() -> None:
    """Both are off for jobs that come through the API, unless asked for."""
    job = job_of()

    assert job.logs_policy.destination is batch_v1.LogsPolicy.Destination.CLOUD_LOGGING
    (notification,) = job.notifications
    assert notification.pubsub_topic == "projects/p/topics/epydrop-batch"
    assert notification.message.type_ is batch_v1.JobNotification.Type.JOB_STATE_CHANGED
    assert notification.message.new_job_state == 0


def test_an_unknown_machine_type_is_refused_before_batch_does() -> None:
    """With the nearest name."""
    with pytest.raises(BadInput, match="c4d-standard"):
        job_of(machine_type="c4d-standrad-2")


def test_the_same_orders_give_the_same_job() -> None:
    """Submitting twice asks for nothing new."""
    assert job_of() == job_of()


def test_a_definition_stays_small_however_many_tasks_there_are() -> None:
    """Batch takes 1 MB; the indices stand in the orders."""
    spec = replace(spec_of(), task_count=100_000)

    assert len(batch_v1.Job.serialize(batch_job(spec, AROUND))) < 5_000


@pytest.mark.parametrize("endpoint", ["127.0.0.1:1", "https://host", "grpc://", "grpc://host:1/path"])
def test_an_endpoint_of_another_form_is_refused(endpoint: str) -> None:
    """Before anything is sent to it."""
    with pytest.raises(ConfigurationError, match="EPYDROP_BATCH_ENDPOINT"):
        batch_client(endpoint)
