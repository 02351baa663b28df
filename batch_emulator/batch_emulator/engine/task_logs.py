"""Where the logs of tasks are: one file for each try of each task."""

from __future__ import annotations

from pathlib import Path


def log_folder(folder: Path, job_id: str) -> Path:
    """The folder that holds the logs of a job's tasks."""
    return folder / "logs" / job_id


def newest_log(folder: Path, job_id: str, position: int) -> Path | None:
    """The log of a task's newest try, or None before the first one has begun."""
    logs = log_folder(folder, job_id).glob(f"{position:05d}-*.log")
    return max(logs, key=lambda log: int(log.stem.rpartition("-")[2]), default=None)
