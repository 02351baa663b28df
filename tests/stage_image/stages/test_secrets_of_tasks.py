"""The secrets of a task are for epydrop's own code: no suite finds them around it, and nothing prints them."""

from __future__ import annotations

import json
import os
import sys

import pytest
from support.planted_secrets import secrets_in, secrets_in_bytes
from support.stage_run import KEYS, OUTPUTS, RESULTS, RUN_ID, StageRun, signing_keys

from batch_emulator.engine.launchers import Launch
from batch_emulator.engine.options import Options
from batch_emulator.engine.work import Retries, Work
from batch_emulator.options import ServerOptions
from epydrop.formats.names import Stage, result_name
from epydrop_stages.artifacts.signed_files import Meta, write_artifact
from epydrop_stages.stages.context import TaskEnvironment
from epydrop_stages.suites import registry
from epydrop_workstation.local.options import LocalOptions

SECRETS = {"key": KEYS["new"], "old key": KEYS["old"], "token": "ghp_0123456789swordfish0123456789"}
ENVIRONMENT = {"EPYDROP_SIGNING_KEY": json.dumps(KEYS), "GITHUB_PAT": SECRETS["token"]}
TOLD = "suite: epymodelingsuite\nseed: 7\nconfig: {basemodel: {}, modelset: {}}\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of a suite that tells its environment, in a process that has the secrets in its own, as tasks do."""
    monkeypatch.setitem(registry.SUITES, "epymodelingsuite", "telling_suite")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield StageRun.of(tmp_path / "run", TOLD)
    sys.modules.pop("telling_suite", None)


def test_a_suite_that_tells_its_environment_tells_no_secret(run, caplog, capfd):
    """In inputs, results, outputs, telemetry and log."""
    run.whole()

    assert "PATH" in json.loads(run.store.read(f"{OUTPUTS}told.json"))["report"]
    assert secrets_in(run.folder, SECRETS) == set()
    assert secrets_in_bytes((caplog.text + "".join(capfd.readouterr())).encode(), SECRETS) == set()


def test_nor_does_one_that_fails_with_it(run, monkeypatch, caplog, capfd):
    """In the error's message and traceback, which are in a record and in the log."""
    assert (run.build(), run.compute()) == (0, [0])
    monkeypatch.setenv("TELLING_FAILS", "")

    assert run.publish() == 1

    assert "TELLING_FAILS" in run.error(Stage.OUTPUT).message
    assert secrets_in(run.folder, SECRETS) == set()
    assert secrets_in_bytes((caplog.text + "".join(capfd.readouterr())).encode(), SECRETS) == set()


def test_a_secret_in_an_artifact_would_be_found(run):
    """The tests above can fail: what a suite takes from its environment is looked for where it stores it."""
    assert (run.build(), run.compute()) == (0, [0])
    name = result_name(RESULTS, 0)
    write_artifact(run.store, name, {"run": ENVIRONMENT}, Meta("result", RUN_ID, Stage.RUNNER, 0), signing_keys())

    assert secrets_in(run.folder, SECRETS) == {(name, secret) for secret in SECRETS}


@pytest.mark.parametrize(
    "value",
    [
        TaskEnvironment.read(
            Stage.BUILDER,
            {
                "EPYDROP_RUN_URL": "file:///x/",
                "EPYDROP_ATTEMPT": "1",
                "EPYDROP_ORDERS_SHA256": "ab12",
                "BATCH_TASK_INDEX": "0",
                **ENVIRONMENT,
            },
        ),
        LocalOptions(env=ENVIRONMENT, builder_env=ENVIRONMENT),
        Options(env=ENVIRONMENT),
        Work("j", 1, 1, ("true",), ENVIRONMENT, 1, 1.0, Retries(0), task_env=[ENVIRONMENT]),
        Launch(("true",), ENVIRONMENT, os.curdir, os.devnull),
        ServerOptions(os.curdir, env=ENVIRONMENT, secrets=ENVIRONMENT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_secrets_prints_without_them(value):
    """As a traceback with values, or a log of the configuration, would."""
    assert secrets_in_bytes(repr(value).encode(), SECRETS) == set()
