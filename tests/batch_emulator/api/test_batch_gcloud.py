"""gcloud works with the emulator, unchanged, by a variable that names its address.

The page docs/batch-emulator.md, whose blocks are tested as well, shows submit, describe, list and delete.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from support.batch_jobs import PATIENCE, finished, script

pytestmark = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")

REGION = "--location=us-central1"


@pytest.fixture
def gcloud(served, tmp_path):
    """Runs ``gcloud batch`` against the server; its answer as JSON, or its error message."""
    variables = {
        **os.environ,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_BATCH": f"{served.rest_url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "gcloud-project",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
    }

    def run(*words, fails=False):
        done = subprocess.run(
            ["gcloud", "batch", *words, "--format=json"],
            env=variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout or "null")

    return run


def test_gcloud_submits_a_job_reads_its_failed_task_and_shows_errors(gcloud, clients, tmp_path):
    """A job as the documentation writes it, in camelCase, with the fields that have no effect here."""
    config = tmp_path / "job.json"
    group = {
        "taskCount": "3",
        "parallelism": "2",
        "taskSpec": {
            "runnables": [script("#!/bin/bash\n[[ $BATCH_TASK_INDEX != 1 ]]")],
            "computeResource": {"cpuMilli": "1000", "memoryMib": "512"},
            "maxRunDuration": "60s",
        },
    }
    policy = {"policy": {"machineType": "e2-standard-4", "provisioningModel": "SPOT"}}
    job = {
        "taskGroups": [group],
        "allocationPolicy": {"instances": [policy]},
        "logsPolicy": {"destination": "CLOUD_LOGGING"},
    }
    config.write_text(json.dumps(job))

    submitted = gcloud("jobs", "submit", "job-1", REGION, f"--config={config}")

    assert submitted["name"] == "projects/gcloud-project/locations/us-central1/jobs/job-1"
    assert submitted["taskGroups"][0]["taskCount"] == "3"
    finished(clients["grpc"], submitted["name"])
    (failed,) = gcloud("tasks", "list", "--job=job-1", REGION, "--filter=status.state=FAILED")
    assert failed["name"].endswith("/taskGroups/group0/tasks/1")
    assert failed["status"]["statusEvents"][-1]["taskExecution"] == {"exitCode": 1}
    assert "already exists" in gcloud("jobs", "submit", "job-1", REGION, f"--config={config}", fails=True)


def test_a_job_without_an_id_is_submitted_and_cancelled_by_gcloud(gcloud, clients):
    """The server makes the id up."""
    submitted = gcloud("jobs", "submit", REGION, "--script-text=sleep 600")
    job_id = submitted["name"].rsplit("/", 1)[1]

    operation = gcloud("jobs", "cancel", job_id, REGION)

    assert operation["metadata"]["target"] == submitted["name"]
    assert finished(clients["grpc"], submitted["name"]).status.state.name == "CANCELLED"
