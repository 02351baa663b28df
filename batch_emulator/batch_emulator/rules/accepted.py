"""A job as Batch stores it: the request, with defaults filled in and output-only fields cleared."""

from __future__ import annotations

from typing import Any

from batch_emulator.protocol.messages import Job, TaskGroup
from batch_emulator.protocol.resources import TASK_GROUP, JobName
from batch_emulator.rules.job_checks import MAX_PARALLELISM

DEFAULT_CPU_MILLI = 2000  # ComputeResource.cpu_milli
DEFAULT_MEMORY_MIB = 2000  # ComputeResource.memory_mib


def accepted(asked: Any, name: JobName) -> Any:
    """The job to store under this name."""
    job = Job()
    job.CopyFrom(asked)
    for field in ("uid", "status", "create_time", "update_time"):  # output only
        job.ClearField(field)
    job.name = str(name)
    if not job.allocation_policy.location.allowed_locations:
        job.allocation_policy.location.allowed_locations.append(f"regions/{name.parent.location}")
    group = job.task_groups[0]
    group.name = f"{name}/taskGroups/{TASK_GROUP}"
    group.task_count = len(group.task_environments) or group.task_count or 1
    group.parallelism = group.parallelism or _parallelism(group)
    resources = group.task_spec.compute_resource
    resources.cpu_milli = resources.cpu_milli or DEFAULT_CPU_MILLI
    resources.memory_mib = resources.memory_mib or DEFAULT_MEMORY_MIB
    return job


def _parallelism(group: Any) -> int:
    return 1 if group.scheduling_policy == TaskGroup.IN_ORDER else min(group.task_count, MAX_PARALLELISM)
