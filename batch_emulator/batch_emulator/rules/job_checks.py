"""What Batch rejects about a job, field by field, with the limits of its documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from batch_emulator.engine.jobs import MAX_TASKS
from batch_emulator.protocol.errors import Violation
from batch_emulator.protocol.messages import JobNotification, JobStatus, LifecyclePolicy, TaskGroup, TaskStatus
from batch_emulator.rules.runnable_checks import environment_problems, label_problems, runnable_problems

MAX_PARALLELISM = 5_000  # batch/quotas: parallel tasks of one job
MAX_RETRIES = 10  # TaskSpec.max_retry_count
MAX_PRIORITY = 99  # Job.priority: [0, 100)
MAX_LABELS = 63  # batch/docs/organize-resources-using-labels: custom labels of a job and its runnables
MAX_BYTES = 1 << 20  # batch/quotas: the definition of a job

_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
_ALLOWED_LOCATION = re.compile(r"(regions|zones)/([a-z]+-[a-z]+\d+)(-[a-z])?")


def job_problems(job: Any, location: str) -> Iterator[Violation]:
    """All violations of a job that is to be created in ``location``."""
    if job.ByteSize() > MAX_BYTES:
        yield Violation("job", f"{job.ByteSize()} bytes, at most {MAX_BYTES} are allowed")
    if not 0 <= job.priority <= MAX_PRIORITY:
        yield Violation("job.priority", f"got {job.priority}, expected 0 to {MAX_PRIORITY}")
    yield from label_problems(job.labels, "job.labels")
    if len(job.task_groups) != 1:
        yield Violation("job.task_groups", f"got {len(job.task_groups)}, expected exactly one")
    for group in job.task_groups[:1]:
        yield from _group_problems(group, "job.task_groups[0]")
        count = len(job.labels) + sum(len(runnable.labels) for runnable in group.task_spec.runnables)
        if count > MAX_LABELS:
            yield Violation("job.labels", f"{count} with those of the runnables, at most {MAX_LABELS} are allowed")
    yield from _allocation_problems(job.allocation_policy, location)
    for n, notification in enumerate(job.notifications):
        yield from _notification_problems(notification, f"job.notifications[{n}]")


def _group_problems(group: Any, at: str) -> Iterator[Violation]:
    if not 0 <= group.task_count <= MAX_TASKS:
        yield Violation(f"{at}.task_count", f"got {group.task_count}, expected 1 to {MAX_TASKS}")
    if len(group.task_environments) > MAX_TASKS:
        found = len(group.task_environments)
        yield Violation(f"{at}.task_environments", f"got {found}, expected at most {MAX_TASKS}")
    if not 0 <= group.parallelism <= MAX_PARALLELISM:
        yield Violation(f"{at}.parallelism", f"got {group.parallelism}, expected 1 to {MAX_PARALLELISM}")
    elif group.scheduling_policy == TaskGroup.IN_ORDER and group.parallelism > 1:
        yield Violation(f"{at}.parallelism", f"got {group.parallelism}, expected 1: the tasks run IN_ORDER")
    if group.task_count_per_node < 0:
        yield Violation(f"{at}.task_count_per_node", f"got {group.task_count_per_node}, expected at least 1")
    for n, environment in enumerate(group.task_environments):
        yield from environment_problems(environment, f"{at}.task_environments[{n}]")
    yield from _spec_problems(group.task_spec, f"{at}.task_spec")


def _spec_problems(spec: Any, at: str) -> Iterator[Violation]:
    if not spec.runnables:
        yield Violation(f"{at}.runnables", "at least one is required")
    for n, runnable in enumerate(spec.runnables):
        yield from runnable_problems(runnable, f"{at}.runnables[{n}]")
    for name in ("cpu_milli", "memory_mib", "boot_disk_mib"):
        if (value := getattr(spec.compute_resource, name)) < 0:
            yield Violation(f"{at}.compute_resource.{name}", f"got {value}, expected at least 1")
    if spec.max_run_duration.ToNanoseconds() < 0:
        yield Violation(f"{at}.max_run_duration", f"got {spec.max_run_duration.ToJsonString()}, expected at least 0s")
    if not 0 <= spec.max_retry_count <= MAX_RETRIES:
        yield Violation(f"{at}.max_retry_count", f"got {spec.max_retry_count}, expected 0 to {MAX_RETRIES}")
    yield from environment_problems(spec.environment, f"{at}.environment")
    if len(spec.lifecycle_policies) > 1:
        yield Violation(f"{at}.lifecycle_policies", f"got {len(spec.lifecycle_policies)}, expected at most one")
    for n, policy in enumerate(spec.lifecycle_policies):
        yield from _policy_problems(policy, f"{at}.lifecycle_policies[{n}]")


def _policy_problems(policy: Any, at: str) -> Iterator[Violation]:
    if policy.action not in {LifecyclePolicy.RETRY_TASK, LifecyclePolicy.FAIL_TASK}:
        yield Violation(f"{at}.action", "expected RETRY_TASK or FAIL_TASK")
    if not policy.action_condition.exit_codes:
        yield Violation(f"{at}.action_condition.exit_codes", "at least one is required")
    for n, code in enumerate(policy.action_condition.exit_codes):
        if code < 0:
            yield Violation(f"{at}.action_condition.exit_codes[{n}]", f"got {code}, expected at least 0")


def _allocation_problems(policy: Any, location: str) -> Iterator[Violation]:
    at = "job.allocation_policy"
    if len(policy.instances) > 1:
        yield Violation(f"{at}.instances", f"got {len(policy.instances)}, expected at most one")
    yield from label_problems(policy.labels, f"{at}.labels")
    for n, allowed in enumerate(policy.location.allowed_locations):
        found = _ALLOWED_LOCATION.fullmatch(allowed)
        field = f"{at}.location.allowed_locations[{n}]"
        if found is None or (found[1] == "zones") is not bool(found[3]):
            yield Violation(field, f"got {allowed!r}, expected regions/{location} or zones/{location}-a")
        elif found[2] != location:
            yield Violation(field, f"got {allowed!r}, which is not in the job's location {location}")


def _notification_problems(notification: Any, at: str) -> Iterator[Violation]:
    if notification.pubsub_topic and not _TOPIC.fullmatch(notification.pubsub_topic):
        got = notification.pubsub_topic
        yield Violation(f"{at}.pubsub_topic", f"got {got!r}, expected projects/*/topics/*")
    message = notification.message
    is_of_job = message.type_ == JobNotification.JOB_STATE_CHANGED
    if message.type_ and message.new_job_state and not is_of_job:
        yield Violation(f"{at}.message.new_job_state", "goes with the type JOB_STATE_CHANGED")
    if message.new_task_state and (is_of_job or message.new_job_state):
        yield Violation(f"{at}.message.new_task_state", "goes with the type TASK_STATE_CHANGED")
    yield from _enum_problems(message.new_job_state, JobStatus.State.Name, f"{at}.message.new_job_state")
    yield from _enum_problems(message.new_task_state, TaskStatus.State.Name, f"{at}.message.new_task_state")
    yield from _enum_problems(message.type_, JobNotification.Type.Name, f"{at}.message.type_")


def _enum_problems(value: int, name_of: Callable[[int], str], field: str) -> Iterator[Violation]:
    """Protobuf accepts any number for an enum; Batch accepts only those with a name."""
    try:
        name_of(value)
    except ValueError:
        yield Violation(field, f"got {value}, which is not a value of this enum")
