"""A suite that tells its whole environment to everybody: in its tasks, results, outputs, log and last error."""

from __future__ import annotations

import json
import os

from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.suite import Output, Task, TaskKey

NEEDS_FILES = False


def build(experiment, workspace):
    key = TaskKey("here", {}, 0)
    yield Task(key, key.seed(experiment.seed), _told())


def run(task):
    return {"build": task.work, "run": _told()}


def columns(experiment):
    return Columns()


def digest(results, experiment, facts, workspace):
    return results[0].result


def report(digests, experiment, facts, workspace):
    (found,) = digests
    path = workspace / "told.json"
    path.write_text(json.dumps({**found, "report": _told()}))
    yield Output(path.name, path)
    if "TELLING_FAILS" in os.environ:
        raise ValueError(_told())


def warnings(experiment):
    return []


def versions():
    return {}


def _told():
    print(dict(os.environ))
    return dict(os.environ)
