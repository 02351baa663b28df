"""The names of Batch's resources, each format with its parser."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from batch_emulator.protocol.errors import Violation, invalid

TASK_GROUP = "group0"  # the name that Batch gives to the only group of a job
ALL_LOCATIONS = "-"  # the wildcard of google.aip.dev/159

_JOB_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_UID_JOB_ID = 43  # with the 20 characters after it, a uid has at most 63 and is a legal label value


@dataclass(frozen=True)
class Location:
    """projects/{project}/locations/{location}: the parent of jobs and operations."""

    project: str
    location: str

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"


@dataclass(frozen=True)
class JobName:
    """{location}/jobs/{job_id}."""

    parent: Location
    job_id: str

    def __str__(self) -> str:
        return f"{self.parent}/jobs/{self.job_id}"


@dataclass(frozen=True)
class TaskName:
    """{job}/taskGroups/{group}/tasks/{index}, as written: group and task need not exist."""

    job: JobName
    group: str
    task: str

    def __str__(self) -> str:
        return f"{self.job}/taskGroups/{self.group}/tasks/{self.task}"

    @property
    def position(self) -> int | None:
        """The task's index; None if no job can have such a task."""
        is_ours = self.group == TASK_GROUP and re.fullmatch(r"0|[1-9]\d{0,8}", self.task)
        return int(self.task) if is_ours else None


def parse_location(text: str, field: str) -> Location:
    """Raises INVALID_ARGUMENT for ``field``."""
    return Location(*_parts("projects/*/locations/*", text, field))


def parse_job(text: str, field: str) -> JobName:
    """Raises INVALID_ARGUMENT for ``field``."""
    project, location, job_id = _parts("projects/*/locations/*/jobs/*", text, field)
    return JobName(Location(project, location), job_id)


def parse_task_group(text: str, field: str) -> tuple[JobName, str]:
    """The job and the group. Raises INVALID_ARGUMENT for ``field``."""
    project, location, job_id, group = _parts("projects/*/locations/*/jobs/*/taskGroups/*", text, field)
    return JobName(Location(project, location), job_id), group


def parse_task(text: str, field: str) -> TaskName:
    """Raises INVALID_ARGUMENT for ``field``."""
    *job, group, task = _parts("projects/*/locations/*/jobs/*/taskGroups/*/tasks/*", text, field)
    return TaskName(JobName(Location(job[0], job[1]), job[2]), group, task)


def parse_operation(text: str, field: str) -> str:
    """The name, if its form is valid. Raises INVALID_ARGUMENT for ``field``."""
    _parts("projects/*/locations/*/operations/*", text, field)
    return text


def is_job_id(text: str) -> bool:
    """Whether a job id is valid: 1 to 63 of a-z, 0-9 and '-', starting with a letter and not ending with '-'."""
    return _JOB_ID.fullmatch(text) is not None


def new_job_id() -> str:
    """An id for a job whose request gives none."""
    return f"j-{uuid.uuid4()}"


def new_uid(job_id: str) -> str:
    """A uid: the job id and random digits, like Batch's own job-7-93a06b6f-358f-41160."""
    return f"{job_id[:_UID_JOB_ID].rstrip('-')}-{str(uuid.uuid4())[:18]}0"


def task_uid(uid: str, position: int) -> str:
    """The uid of a job's task."""
    return f"{uid}-{TASK_GROUP}-{position}"


def _parts(pattern: str, text: str, field: str) -> tuple[str, ...]:
    """The segments in place of the stars."""
    found = re.fullmatch(pattern.replace("*", "([^/]+)"), text)
    if found is None:
        raise invalid(Violation(field, f"got {text!r}, expected {pattern}"))
    return found.groups()
