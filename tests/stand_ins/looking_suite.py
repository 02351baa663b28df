"""A suite that only tells what it sees around it, at each stage."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.suite import Output, Task, TaskKey

NEEDS_FILES = True


def build(experiment, workspace):
    key = TaskKey("here", {}, 0)
    yield Task(key, key.seed(experiment.seed), _seen())


def run(task):
    return {"build": task.work, "run": _seen()}


def columns(experiment):
    return Columns()


def digest(results, experiment, facts, workspace):
    return results[0].result


def report(digests, experiment, facts, workspace):
    (found,) = digests
    path = workspace / "seen.json"
    path.write_text(json.dumps({**found, "report": _seen()}))
    yield Output(path.name, path)
    cases = workspace / "cases.csv"
    shutil.copyfile("data/cases.csv", cases)
    yield Output(cases.name, cases)


def warnings(experiment):
    return []


def versions():
    return {}


def _seen():
    return {
        "shadowed": Path("shadowed.csv").read_text(),
        "own": Path("own.csv").read_text(),
        "rate": importlib.import_module("functions.custom_rates").RATE,
        "names": sorted(
            path.as_posix() for path in Path().rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ),
    }
