"""The states of tasks, ours and Batch's."""

from __future__ import annotations

from batch_emulator.engine import job_store as kept

TASK_STATES = {
    kept.PENDING: "PENDING",
    kept.RUNNING: "RUNNING",
    kept.SUCCEEDED: "SUCCEEDED",
    kept.FAILED: "FAILED",
    kept.NEVER_RAN: "UNEXECUTED",
}
