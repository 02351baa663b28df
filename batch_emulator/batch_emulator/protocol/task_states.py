"""The engine's task states by their names in google.cloud.batch.v1.TaskStatus.State."""

from __future__ import annotations

from batch_emulator.engine.jobs import TaskState

TASK_STATES: dict[str, str] = {
    TaskState.PENDING: "PENDING",
    TaskState.RUNNING: "RUNNING",
    TaskState.SUCCEEDED: "SUCCEEDED",
    TaskState.FAILED: "FAILED",
    TaskState.NEVER_RAN: "UNEXECUTED",
}
