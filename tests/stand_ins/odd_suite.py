"""A suite whose tasks misbehave on request; what a task does stands in ``parameters.do`` of the experiment's model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from epydrop.errors import BadInput, Problem, RetryableError
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.suite import Finished, Output, Task, TaskKey

NEEDS_FILES = False
ACTIONS = ("nothing", "raise", "out_of_memory", "wrapped_out_of_memory", "bad_input", "try_again")


def build(experiment: Any, workspace: Path) -> Iterator[Task]:
    for chain in range(experiment.tasks.chains):
        key = TaskKey("here", {}, chain)
        yield Task(key, key.seed(experiment.seed), experiment.model["parameters"]["do"])


def run(task: Task) -> Any:
    match task.work:
        case "raise":
            raise ZeroDivisionError(f"task {task.key.chain} divides by zero")
        case "out_of_memory":
            raise MemoryError
        case "wrapped_out_of_memory":
            raise RuntimeError("Simulation failed") from MemoryError()
        case "bad_input":
            raise BadInput(Problem("the rate is negative", "experiment.yaml", 4, 2, "make it positive"))
        case "try_again":
            raise RetryableError("the data server did not answer")
    return task.seed


def columns(experiment: Any) -> Columns:
    return Columns()


def digest(results: Sequence[Finished], experiment: Any, facts: Any, workspace: Path) -> int:
    return sum(finished.result for finished in results)


def report(digests: Iterable[int], experiment: Any, facts: Any, workspace: Path) -> Iterator[Output]:
    path = workspace / "sum.txt"
    path.write_text(str(sum(digests)))
    yield Output(path.name, path)


def warnings(experiment: Any) -> list[str]:
    return []


def versions() -> dict[str, str]:
    return {"odd": "1"}
