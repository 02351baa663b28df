"""gcloud drives the emulator, unchanged, by a variable that names its address."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from support.batch_jobs import PATIENCE, finished, script

pytestmark = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")

REGION = "--location=us-central1"


@pytest.fixture(scope="module")
def gcloud(served, tmp_path_factory):
    """Runs ``gcloud batch`` against the server; its answer as JSON, or what it says when it fails."""
    variables = {
        **os.environ,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_BATCH": f"{served.rest_url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "gcloud-project",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("gcloud")),
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


def test_a_job_goes_through_its_life_by_gcloud(gcloud, clients, tmp_path):
    """Submitted from a file as the documentation has it, described, listed, deleted."""
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
        "labels": {"team": "flu"},
    }
    config.write_text(json.dumps(job))

    submitted = gcloud("jobs", "submit", "job-1", REGION, f"--config={config}")

    assert submitted["name"] == "projects/gcloud-project/locations/us-central1/jobs/job-1"
    assert submitted["taskGroups"][0]["taskCount"] == "3"
    finished(clients["grpc"], submitted["name"])
    described = gcloud("jobs", "describe", "job-1", REGION)
    assert described["status"]["state"] == "FAILED"
    assert described["status"]["taskGroups"]["group0"]["counts"] == {"SUCCEEDED": "2", "FAILED": "1"}
    assert described["uid"] == submitted["uid"]
    assert [found["name"] for found in gcloud("jobs", "list")] == [submitted["name"]]
    tasks = gcloud("tasks", "list", "--job=job-1", REGION)
    assert [task["status"]["state"] for task in tasks] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    failed = gcloud("tasks", "list", "--job=job-1", REGION, "--filter=status.state=FAILED")
    assert [task["name"].rsplit("/", 1)[1] for task in failed] == ["1"]
    task = gcloud("tasks", "describe", "1", "--job=job-1", "--task_group=group0", REGION)
    assert task["status"]["statusEvents"][-1]["taskExecution"] == {"exitCode": 1}
    assert "already exists" in gcloud("jobs", "submit", "job-1", REGION, f"--config={config}", fails=True)
    assert "cannot be cancelled" in gcloud("jobs", "cancel", "job-1", REGION, fails=True)
    gcloud("jobs", "delete", "job-1", REGION)
    assert "not found" in gcloud("jobs", "describe", "job-1", REGION, fails=True)


def test_a_job_without_an_id_is_submitted_and_cancelled_by_gcloud(gcloud, clients):
    """The server makes the id up."""
    submitted = gcloud("jobs", "submit", REGION, "--script-text=sleep 600")
    job_id = submitted["name"].rsplit("/", 1)[1]

    operation = gcloud("jobs", "cancel", job_id, REGION)

    assert operation["metadata"]["target"] == submitted["name"]
    assert finished(clients["grpc"], submitted["name"]).status.state.name == "CANCELLED"


def test_what_is_wrong_with_a_job_is_said_by_gcloud(gcloud, tmp_path):
    """With the field."""
    config = tmp_path / "job.json"
    config.write_text(
        json.dumps({"taskGroups": [{"taskCount": "100001", "taskSpec": {"runnables": [script("true")]}}]})
    )

    said = gcloud("jobs", "submit", "job-2", REGION, f"--config={config}", fails=True)

    assert "job.task_groups[0].task_count" in said
