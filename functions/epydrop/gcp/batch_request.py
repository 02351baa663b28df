"""From what we ask for to the message that Cloud Batch takes. Pure: nothing here calls anything.

Sources: the comments of google/cloud/batch/v1/{job,task}.proto, and docs.cloud.google.com/batch/docs.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.cloud import batch_v1
from google.protobuf.duration_pb2 import Duration

from epydrop.core.jobs import GITHUB_PAT, SIGNING_KEY, JobSpec
from epydrop.errors import BadInput
from epydrop.formats.orders import Resources
from epydrop.machine_types import machine
from epydrop.settings import CloudSettings

TASK_GROUP = "group0"  # Batch's own name for the only one

_Policy = batch_v1.AllocationPolicy


@dataclass(frozen=True)
class Surroundings:
    """What every job of a deployment shares. ``secrets`` maps variables to full names in Secret Manager."""

    region: str
    image_repository: str
    topic: str
    service_account: str
    network: str
    subnetwork: str
    secrets: dict[str, str]

    @classmethod
    def of(cls, settings: CloudSettings) -> Surroundings:
        """Those of this deployment; a secret that is not configured is not there."""
        secrets = {SIGNING_KEY: settings.signing_key_secret, GITHUB_PAT: settings.github_pat_secret}
        return cls(
            region=settings.region,
            image_repository=settings.image_repository,
            topic=settings.batch_topic,
            service_account=settings.batch_service_account,
            network=settings.network,
            subnetwork=settings.subnetwork,
            secrets={name: secret for name, secret in secrets.items() if secret},
        )


def batch_job(spec: JobSpec, around: Surroundings) -> batch_v1.Job:
    """The job. Raises BadInput for a machine type that we do not know, or for no task at all."""
    if spec.task_count < 1:  # which Batch would take for one task
        raise BadInput(f"job {spec.job_id} was refused: it has {spec.task_count} tasks, expected at least 1")
    group = batch_v1.TaskGroup(
        task_spec=_task_spec(spec, around),
        task_count=spec.task_count,
        parallelism=spec.parallelism,
        task_count_per_node=spec.resources.tasks_per_vm,
    )
    return batch_v1.Job(
        task_groups=[group],
        allocation_policy=_allocation_policy(spec, around),
        labels=spec.labels,
        # Jobs created through the API log nothing without a logs policy.
        logs_policy=batch_v1.LogsPolicy(destination=batch_v1.LogsPolicy.Destination.CLOUD_LOGGING),
        notifications=[_every_state(around.topic)],
    )


def _task_spec(spec: JobSpec, around: Surroundings) -> batch_v1.TaskSpec:
    size = spec.resources
    return batch_v1.TaskSpec(
        runnables=[batch_v1.Runnable(container=_container(spec, around))],
        compute_resource=batch_v1.ComputeResource(cpu_milli=size.cpu_milli, memory_mib=size.memory_mib),
        max_run_duration=Duration(seconds=size.max_run_duration),
        max_retry_count=spec.max_task_retries,
        lifecycle_policies=_retries(spec),
        environment=batch_v1.Environment(
            variables=spec.env,
            secret_variables={name: around.secrets[name] for name in spec.secrets if name in around.secrets},
        ),
    )


def _container(spec: JobSpec, around: Surroundings) -> batch_v1.Runnable.Container:
    entrypoint, *words = spec.command
    return batch_v1.Runnable.Container(
        image_uri=f"{around.image_repository}@{spec.resources.image}",
        entrypoint=entrypoint,
        commands=words,
        # A limit of its own, so that running out of memory kills the task (137) and not the whole machine. Image
        # streaming would drop these options without a word, so it stays off.
        options=f"--memory={spec.resources.memory_mib}m",
    )


def _retries(spec: JobSpec) -> list[batch_v1.LifecyclePolicy]:
    """Batch retries these exit codes and fails all others; without retries it takes no policy."""
    if not spec.max_task_retries:
        return []
    condition = batch_v1.LifecyclePolicy.ActionCondition(exit_codes=spec.retried_exit_codes)
    return [batch_v1.LifecyclePolicy(action=batch_v1.LifecyclePolicy.Action.RETRY_TASK, action_condition=condition)]


def _allocation_policy(spec: JobSpec, around: Surroundings) -> batch_v1.AllocationPolicy:
    interface = _Policy.NetworkInterface(
        network=around.network, subnetwork=around.subnetwork, no_external_ip_address=True
    )
    return _Policy(
        location=_Policy.LocationPolicy(allowed_locations=[f"regions/{around.region}"]),
        instances=[_Policy.InstancePolicyOrTemplate(policy=_instance(spec.resources))],
        service_account=batch_v1.ServiceAccount(email=around.service_account),
        labels=spec.labels,
        network=_Policy.NetworkPolicy(network_interfaces=[interface]),
    )


def _instance(size: Resources) -> batch_v1.AllocationPolicy.InstancePolicy:
    """Where no machine type is named, Batch picks one, and a disk that fits it."""
    model = _Policy.ProvisioningModel.SPOT if size.spot else _Policy.ProvisioningModel.STANDARD
    if not size.machine_type:
        return _Policy.InstancePolicy(provisioning_model=model)
    return _Policy.InstancePolicy(
        provisioning_model=model,
        machine_type=size.machine_type,
        # Batch's default, pd-balanced, does not exist for c4, c4d and n4.
        boot_disk=_Policy.Disk(type_=machine(size.machine_type).disk),
    )


def _every_state(topic: str) -> batch_v1.JobNotification:
    """Unfiltered: Batch documents filters for some states only, and cancellation is not among them."""
    message = batch_v1.JobNotification.Message(type_=batch_v1.JobNotification.Type.JOB_STATE_CHANGED)
    return batch_v1.JobNotification(pubsub_topic=topic, message=message)
