"""What a whole deployment answers to the doctor, in the forms of gcloud's JSON; tests take things away from it.

The forms are those of Google's REST APIs (and of ``gcloud storage``, which writes its own); no project was asked.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

from epydrop_workstation.deployment.doctor_checks import SERVICES
from epydrop_workstation.deployment.gathered import (
    FUNCTIONS,
    Answer,
    Place,
    first_questions,
    further_questions,
    wanted_grants,
)

PLACE = Place("demo-project", "us-central1")
DIGEST = f"sha256:{'a' * 64}"
_PACKAGE = "projects/demo-project/locations/us-central1/repositories/epydrop/packages/stage"

_FIRST: dict[str, Any] = {
    "project": {"projectId": "demo-project", "projectNumber": "123456789012", "lifecycleState": "ACTIVE"},
    "services": [{"config": {"name": f"{name}.googleapis.com"}, "state": "ENABLED"} for name in SERVICES],
    "database": {
        "name": "projects/demo-project/databases/epydrop",
        "type": "FIRESTORE_NATIVE",
        "deleteProtectionState": "DELETE_PROTECTION_ENABLED",
    },
    "family quota": {
        "quotaId": "CPUS-PER-VM-FAMILY-per-project-region",
        "dimensionsInfos": [
            {"dimensions": {"vm_family": "C4D"}, "details": {"value": "24"}, "applicableLocations": ["us-east4"]},
            {"dimensions": {"vm_family": "C4D"}, "details": {"value": "500"}, "applicableLocations": ["us-central1"]},
            {"dimensions": {"region": "us-central1", "vm_family": "C4"}, "details": {"value": "24"}},
            {"dimensions": {"region": "us-east1", "vm_family": "C4D"}, "details": {"value": "24"}},
            {"dimensions": {"region": "us-central1"}, "details": {"value": "8"}},
        ],
    },
    "project quota": {"quotaId": "CPUS-ALL-REGIONS-per-project", "dimensionsInfos": [{"details": {"value": "-1"}}]},
    "sweep": {"state": "ENABLED", "schedule": "*/5 * * * *"},
    "tags": [
        {"tag": "build-1", "version": f"sha256:{'b' * 64}"},
        {
            "tag": f"{_PACKAGE}/tags/release",
            "version": f"{_PACKAGE}/versions/{DIGEST}",
        },
    ],
    "trigger bucket": {"name": PLACE.trigger_bucket, "public_access_prevention": "enforced"},
    "notifications": [
        {"Notification Configuration": {"event_types": ["OBJECT_FINALIZE"], "payload_format": "JSON_API_V1"}}
    ],
    "signing key": [{"name": "projects/123456789012/secrets/epydrop-signing-key/versions/1", "state": "ENABLED"}],
}


def _function(name: str) -> dict[str, Any]:
    return {
        "name": f"projects/demo-project/locations/us-central1/functions/{name}",
        "state": "ACTIVE",
        "buildConfig": {"entryPoint": FUNCTIONS[name], "runtime": "python311"},
        "serviceConfig": {
            "ingressSettings": "ALLOW_INTERNAL_ONLY",
            "environmentVariables": {
                "EPYDROP_DATA_URL": "gs://epydrop-data-demo-project/runs/",
                "EPYDROP_IMAGE": DIGEST,
                "EPYDROP_GITHUB_PAT_SECRET": "",
            },
        },
        "eventTrigger": {"retryPolicy": "RETRY_POLICY_RETRY"},
    }


def healthy() -> dict[str, Answer]:
    """Every question of both rounds with its answer; a fresh copy each time."""
    facts = {name: Answer(copy.deepcopy(value)) for name, value in _FIRST.items()}
    facts |= {f"function {name}": Answer(_function(name)) for name in FUNCTIONS}
    assert facts.keys() == first_questions(PLACE).keys()
    for question in further_questions(PLACE, facts):
        facts[question] = Answer(
            {"image_summary": {"digest": DIGEST}} if question == "image" else _policy(question, facts)
        )
    return facts


def _policy(question: str, facts: dict[str, Answer]) -> dict[str, Any]:
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for grant in wanted_grants(PLACE, facts):
        if grant.resource == question.removeprefix("policy of "):
            members[grant.role, grant.only].append(f"serviceAccount:{grant.member}")
    return {
        "bindings": [
            {"role": role, "members": sorted(found), **({"condition": {"title": only}} if only else {})}
            for (role, only), found in sorted(members.items())
        ]
    }
