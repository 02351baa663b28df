"""Jobs for the Batch API, clients of it, and waiting for what they do; only what a test cares about is spelled out."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import grpc
import psutil
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport

from batch_emulator.options import ServerOptions
from batch_emulator.server import serve

PATIENCE = 1500.0  # seconds; only a hang takes so long

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


def a_server(state: Path, **changes):
    """A server with two tasks at a time, whose notifications go nowhere unless a test wants them."""
    return serve(ServerOptions(**{"state": state, "parallelism": 2, "publish": lambda _: None, **changes}))


def grpc_client(served):
    channel = grpc.insecure_channel(served.grpc_address)
    return batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))


def rest_client(served):
    return batch_v1.BatchServiceClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=served.rest_url),
    )


def a_place() -> str:
    """A location that no other test uses."""
    return f"projects/p-{uuid.uuid4().hex[:12]}/locations/us-central1"


def script(text: str, **changes) -> dict:
    """A runnable that runs a shell script."""
    return {"script": {"text": text}, **changes}


def container(*commands: str, **changes) -> dict:
    """A runnable that runs a container; ``changes`` are of the container or of the runnable."""
    own = {name: changes.pop(name) for name in list(changes) if name in batch_v1.Runnable.Container.meta.fields}
    return {"container": {"image_uri": "image", "commands": list(commands), **own}, **changes}


def a_job(*runnables: dict | str, tasks: int = 1, labels: dict | None = None, **changes) -> dict:
    """A job of these runnables; ``changes`` are of the job, of its task group or of its task specification."""
    steps = [script(runnable) if isinstance(runnable, str) else runnable for runnable in runnables or ("true",)]
    spec = {"runnables": steps}
    group = {"task_count": tasks, "task_spec": spec}
    job = {"task_groups": [group], "labels": labels or {}}
    for name, value in changes.items():
        where = next(
            part
            for kind, part in ((batch_v1.TaskSpec, spec), (batch_v1.TaskGroup, group), (batch_v1.Job, job))
            if name in kind.meta.fields
        )
        where[name] = value
    return job


def state_of(client, name: str) -> str:
    return client.get_job(name=name).status.state.name


def until(condition, patience: float = PATIENCE):
    """Waits until the condition holds, and returns what it gave."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return found


def finished(client, name: str):
    """The job once it has ended."""
    until(lambda: state_of(client, name) in ENDED)
    return client.get_job(name=name)


def ran(client, place: str, job: dict, job_id: str = ""):
    """The job, created and ended."""
    return finished(client, client.create_job(parent=place, job=job, job_id=job_id).name)


def tasks_of(client, job) -> list:
    """All tasks of a job."""
    return list(client.list_tasks(parent=f"{job.name}/taskGroups/group0"))


def exit_codes(task) -> list[int]:
    """Of each try of a task that ended, in order."""
    return [event.task_execution.exit_code for event in task.status.status_events if "task_execution" in event]


def violations(error) -> dict[str, str]:
    """The fields that an error names, over whichever transport it came."""
    (detail,) = error.details
    if isinstance(detail, dict):
        return {violation["field"]: violation["description"] for violation in detail["fieldViolations"]}
    return {violation.field: violation.description for violation in detail.field_violations}


def is_alive(pid: int) -> bool:
    """Whether a process does anything any more."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
