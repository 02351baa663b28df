"""Names that several programs share: each format beside its parser.

Run ids, job ids, object names under a run, labels. Nothing here reads a clock or touches a store.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

EXPERIMENTS = "experiments/"
KICKS = "kicks/"
REPLIES = "replies/"
EXPERIMENT_SUFFIXES = (".yaml", ".yml", ".zip")
KICK_SUFFIX = ".json"

RESOLVED_EXPERIMENT = "experiment.yaml"
DROPPED = "dropped/"
INPUTS = "inputs/"
PINNED_COMMIT = "snapshot/commit.json"
REPOSITORY_ARCHIVE = "snapshot/repo.tar.zst"
LATEST_OUTPUTS = "outputs/latest.json"
REPORT = "report.html"  # in each set of outputs
RUN_METADATA = "run_metadata.json"
OUTPUT_CONFIG = "output_config.yaml"  # in a set of outputs that a kick requested
QUALITY = "quality.json"  # within a set of outputs
ERRORS = "errors/"
TELEMETRY = "telemetry/"
LOCAL_STATE = ".epydrop"  # on one machine, in the folder that holds the runs

MAX_DROPPED_NAME = 950  # bytes; Cloud Storage takes 1024 (docs: storage/docs/objects), and replies add to it
MAX_TASKS = 100_000  # Cloud Batch: tasks in one task group (docs: batch/quotas)

_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_EXP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_MAX_EXP_ID = 200
_IMAGE = re.compile(r"sha256:[0-9a-f]{64}")


class Stage(StrEnum):
    """The three steps of a run, in their order."""

    BUILDER = "builder"
    RUNNER = "runner"
    OUTPUT = "output"


# -- runs --------------------------------------------------------------------------------------


def run_id_of(bucket: str, name: str, generation: int, created: datetime, kick_id: str = "") -> str:
    """The id of the run that this dropped object starts; the same drop always means the same run."""
    identity = f"{bucket}/{name}#{generation}{kick_id}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return f"{created.astimezone(UTC):%Y%m%d-%H%M%S}-{digest}"


def is_run_id(text: str) -> bool:
    """Whether the text has the form YYYYMMDD-HHMMSS-xxxxxxxx."""
    return _RUN_ID.fullmatch(text) is not None


def is_object_name(text: str) -> bool:
    """Whether our stores accept the name: no part of it is empty, '.' or '..'."""
    return "\0" not in text and not any(part in ("", ".", "..") for part in text.split("/"))


def is_dropped_name(text: str) -> bool:
    """Whether a dropped object may have this name, considering that its replies get longer names."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    return size <= MAX_DROPPED_NAME and "\n" not in text and "\r" not in text and is_object_name(text)


def exp_id_of(object_name: str) -> str:
    """The default experiment id: the dropped object's path under experiments/ without its suffix."""
    path = object_name.removeprefix(EXPERIMENTS)
    for suffix in EXPERIMENT_SUFFIXES:
        path = path.removesuffix(suffix)
    return path


def is_exp_id(text: str) -> bool:
    """Letters, digits, dots, dashes and underscores in parts joined by '/', at most 200 characters."""
    return len(text) <= _MAX_EXP_ID and _EXP_ID.fullmatch(text) is not None


def is_image_digest(text: str) -> bool:
    """Whether the text is an image digest. A tag is not enough, because it can be moved to another image."""
    return _IMAGE.fullmatch(text) is not None


def run_folder(prefix: str, exp_id: str, run_id: str) -> str:
    """The folder of one run inside the data bucket, ending in '/'."""
    return f"{prefix}{exp_id}/{run_id}/"


# -- jobs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobName:
    """The parts of a job id: stage, run and attempt."""

    stage: Stage
    run_id: str
    attempt: int

    def __str__(self) -> str:
        return job_id(self.stage, self.run_id, self.attempt)


_JOB_ID = re.compile(rf"({'|'.join(Stage)})-({_RUN_ID.pattern})-([1-9]\d{{0,4}})")


def job_id(stage: Stage, run_id: str, attempt: int) -> str:
    """``{stage}-{run_id}-{attempt}``: deterministic, so that submitting twice finds the first job."""
    return f"{stage}-{run_id}-{attempt}"


def parse_job_id(text: str) -> JobName | None:
    """The parts of a job id, or None when the job is not one of ours."""
    match = _JOB_ID.fullmatch(text)
    if match is None:
        return None
    return JobName(Stage(match[1]), match[2], int(match[3]))


# -- objects under a run -----------------------------------------------------------------------


def artifacts_folder(stage: Stage, round_: int) -> str:
    """Where a stage's artifacts go; a recomputation gets a folder of its own, so old and new never mix."""
    return f"{stage}-artifacts/" if round_ == 1 else f"{stage}-artifacts-{round_}/"


def dropped_name(object_name: str) -> str:
    """The copy of the dropped file, byte for byte."""
    return DROPPED + object_name.rsplit("/", 1)[-1]


def orders_name(stage: Stage, attempt: int) -> str:
    """The orders of one attempt."""
    return f"orders/{stage}-{attempt}.json"


def manifest_name(folder: str) -> str:
    """The builder's manifest, written last."""
    return f"{folder}manifest.json"


def tasks_name(folder: str) -> str:
    """The task list: one JSON object per line, compressed with zstd."""
    return f"{folder}tasks.jsonl.zst"


def input_name(folder: str, index: int) -> str:
    """What the builder made for one task."""
    return f"{folder}input_{index:05d}.pkl.zst"


def result_name(folder: str, index: int) -> str:
    """What one task of the runner made."""
    return f"{folder}result_{index:05d}.pkl.zst"


_RESULT = re.compile(r"(?:.*/)?result_(\d{5})\.pkl\.zst")


def parse_result_name(name: str) -> int | None:
    """The index of a result, or None when the object is something else."""
    match = _RESULT.fullmatch(name)
    return int(match[1]) if match else None


def error_name(stage: Stage, attempt: int, index: int, retry: int) -> str:
    """The error record of one try of one task; ``index`` is the task's index in the run, not in the job."""
    return f"{errors_folder(stage, attempt)}{index:05d}-{retry}.json"


def errors_folder(stage: Stage, attempt: int) -> str:
    """Where one attempt's error records lie."""
    return f"{ERRORS}{stage}/{attempt}/"


_ERROR = re.compile(r"(?:.*/)?(\d{5,})-(\d+)\.json")


def parse_error_name(name: str) -> tuple[int, int] | None:
    """The index and the try of an error record, or None when the object is something else."""
    match = _ERROR.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def telemetry_name(stage: Stage, attempt: int, index: int, retry: int) -> str:
    """The resources that one try of one task used."""
    return f"{telemetry_folder(stage, attempt)}{index:05d}-{retry}.json"


def telemetry_folder(stage: Stage, attempt: int) -> str:
    """Where one attempt's telemetry lies."""
    return f"{TELEMETRY}{stage}/{attempt}/"


def refused_name(attempt: int) -> str:
    """The results that an attempt of the output stage refused."""
    return f"{errors_folder(Stage.OUTPUT, attempt)}refused.json"


def outputs_folder(moment: datetime, suffix: str = "") -> str:
    """A folder for one set of outputs; sorts by time."""
    stamp = f"{moment.astimezone(UTC):%Y%m%d-%H%M%S}"
    return f"outputs/{stamp}_{suffix}/" if suffix else f"outputs/{stamp}/"


def complete_name(outputs: str) -> str:
    """The last object of a set of outputs: its presence means that the set is complete."""
    return f"{outputs}complete.json"


# -- replies and labels ------------------------------------------------------------------------


def reply_name(object_name: str, run_id: str, suffix: str) -> str:
    """The answer beside the dropped file; ``suffix`` is 'json' or 'md'."""
    return f"{REPLIES}{object_name.removeprefix(EXPERIMENTS)}.{run_id}.{suffix}"


def file_answer(object_name: str, generation: int) -> str:
    """The answer to a dropped kick, without the suffix."""
    return f"{REPLIES}{object_name}.{generation}"


def message_answer(message_id: str) -> str:
    """The answer to a kick that came as a message, without the suffix."""
    return f"{REPLIES}{KICKS}message-{label_value(message_id)}"


def label_value(text: str) -> str:
    """The text made legal as a Google label: lower case, ``[a-z0-9_-]``, at most 63 characters.

    A text that does not survive unchanged ends in a short digest of itself, so two texts never share a label.
    """
    plain = re.sub(r"[^a-z0-9_-]", "-", text.lower())
    if plain == text and len(text) <= 63:
        return text
    return f"{plain[:54]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
