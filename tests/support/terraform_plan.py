"""The plan that ``.ci/terraform`` made, for tests; and who would hold which role on what after it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from epydrop_workstation.deployment.grants import Grant

PROJECT, REGION, NUMBER = "demo-project", "us-central1", "123456789012"
NAMES = {
    "project": PROJECT,
    "number": NUMBER,
    "trigger_bucket": "epydrop-trigger-demo-project",
    "data_bucket": "epydrop-data-demo-project",
    "source_bucket": "epydrop-source-demo-project",
}

# Google's agents have no address before they exist.
_AGENTS = {
    'google_project_iam_member.agents["batch.googleapis.com"]': (
        f"service-{NUMBER}@gcp-sa-cloudbatch.iam.gserviceaccount.com"
    ),
    'google_project_iam_member.agents["eventarc.googleapis.com"]': (
        f"service-{NUMBER}@gcp-sa-eventarc.iam.gserviceaccount.com"
    ),
    "google_project_iam_member.storage_publishes": f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com",
    'google_pubsub_topic_iam_member.batch_publishes["agent"]': (
        f"service-{NUMBER}@gcp-sa-cloudbatch.iam.gserviceaccount.com"
    ),
}
_GUARDED = {
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
    "google_cloud_run_service_iam_member": ("service", "service"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
}


def load_plan() -> dict[str, Any]:
    """The plan as JSON; skips the test where nobody made one."""
    path = os.environ.get("EPYDROP_PLAN", "")
    if not path:
        pytest.skip(".ci/terraform makes the plan, and EPYDROP_PLAN names it")
    return json.loads(Path(path).read_text())


def resources(plan: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """All resources of a kind: address -> values."""
    found = plan["planned_values"]["root_module"]["resources"]
    return {resource["address"]: resource["values"] for resource in found if resource["type"] == kind}


def planned_grants(plan: dict[str, Any]) -> Iterator[Grant]:
    """Every role that the plan gives. Fails for a kind of resource that gives roles in a way unknown here."""
    for resource in plan["planned_values"]["root_module"]["resources"]:
        kind, values = resource["type"], resource["values"]
        if "_iam_" not in kind or resource["mode"] == "data":
            continue
        if kind == "google_project_iam_member":
            on = "project"
        else:
            assert kind in _GUARDED, f"{resource['address']} gives a role, and no test knows how to read it"
            word, attribute = _GUARDED[kind]
            name = values[attribute].rsplit("/", 1)[-1].removesuffix(f"@{PROJECT}.iam.gserviceaccount.com")
            on = f"{word} {name}"
        member = values.get("member") or f"serviceAccount:{_AGENTS[resource['address']]}"
        titles = [condition["title"] for condition in values.get("condition") or []]
        yield Grant(member.removeprefix("serviceAccount:"), on, values["role"], *titles)
