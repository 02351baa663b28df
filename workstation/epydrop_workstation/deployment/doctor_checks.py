"""The checks of a deployment: pure functions of the gathered answers. Each problem comes with its fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from epydrop_workstation.deployment.gathered import (
    FUNCTIONS,
    Answer,
    Facts,
    Place,
    machine_family,
    questions_of_quota,
    settings_of,
    wanted_grants,
)
from epydrop_workstation.deployment.grants import Grant

SERVICES = (
    "artifactregistry", "batch", "cloudbuild", "cloudfunctions", "cloudquotas", "cloudscheduler", "compute",
    "eventarc", "firestore", "iam", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage",
)  # fmt: skip
_UNLIMITED = 1_000_000_000  # the API returns -1
VCPUS = 200  # the default of the runner: 100 tasks at a time, 2 vCPU each


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. ``remedy`` is one command; empty if there is no problem."""

    check: str
    says: str
    remedy: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether the check passed."""
        return not self.remedy


def findings(place: Place, facts: Facts) -> Iterator[Finding]:
    """All checks, in the order in which a deployment is created: an early problem often causes the later ones."""
    if facts["project"].error:
        yield Finding(
            "project", _first_line(facts["project"]), f"gcloud auth login && gcloud projects describe {place.project}"
        )
        return
    yield from _services(place, facts)
    yield from _grants(place, facts)
    yield from _trigger_bucket(place, facts)
    yield from _database(place, facts)
    yield from _secrets(place, facts)
    yield from _image(place, facts)
    yield from _functions(place, facts)
    yield from _sweep(place, facts)
    yield from _quota(place, facts)


def _services(place: Place, facts: Facts) -> Iterator[Finding]:
    answer = facts["services"]
    if answer.error:
        yield Finding("services", _first_line(answer), f"gcloud services list --enabled --project {place.project}")
        return
    enabled = {service["config"]["name"] for service in answer.value}
    missing = [f"{name}.googleapis.com" for name in SERVICES if f"{name}.googleapis.com" not in enabled]
    if missing:
        enable = f"gcloud services enable {' '.join(missing)} --project {place.project}"
        yield Finding("services", f"not enabled: {', '.join(missing)}", enable)
    else:
        yield Finding("services", f"all {len(SERVICES)} are enabled")


# -- roles -----------------------------------------------------------------------------------------


def _grants(place: Place, facts: Facts) -> Iterator[Finding]:
    wanted = wanted_grants(place, facts)
    unknown = set()
    for resource in sorted({grant.resource for grant in wanted}):
        answer = facts[f"policy of {resource}"]
        if answer.error:
            unknown.add(resource)
            yield Finding(f"roles on {resource}", _first_line(answer), _apply(place))
    found = set(_found_grants(facts, {grant.resource for grant in wanted} - unknown))
    missing = sorted(grant for grant in wanted - found if grant.resource not in unknown)
    for grant in missing:
        yield Finding("roles", f"missing: {grant}", _apply(place))
    ours = {grant.member for grant in wanted if grant.member.endswith(f"@{place.project}.iam.gserviceaccount.com")}
    surplus = sorted(grant for grant in found - wanted if grant.member in ours)
    for grant in surplus:
        yield Finding("roles", f"not needed: {grant}", _revoke(grant, wanted, place))
    if not (unknown or missing or surplus):
        yield Finding("roles", f"all {len(wanted)} are granted, and no others to our accounts")


def _found_grants(facts: Facts, resources: set[str]) -> Iterator[Grant]:
    for resource in resources:
        for binding in (facts[f"policy of {resource}"].value or {}).get("bindings", []):
            only = binding.get("condition", {}).get("title", "")
            for member in binding.get("members", []):
                yield Grant(member.removeprefix("serviceAccount:"), resource, binding["role"], only)


def _revoke(grant: Grant, wanted: set[Grant], place: Place) -> str:
    """The command that revokes this role and none that is wanted.

    ``--all`` revokes every binding of member and role, whatever its condition, so it is no choice if another of these
    bindings is wanted; topics have no conditions.
    """
    kind, _, name = grant.resource.partition(" ")
    project = f" --project {place.project}"
    on = {
        "project": f"projects remove-iam-policy-binding {place.project}",
        "account": "iam service-accounts remove-iam-policy-binding "
        f"{name}@{place.project}.iam.gserviceaccount.com{project}",
        "bucket": f"storage buckets remove-iam-policy-binding gs://{name}",
        "repository": f"artifacts repositories remove-iam-policy-binding {name} --location {place.region}{project}",
        "secret": f"secrets remove-iam-policy-binding {name}{project}",
        "service": f"run services remove-iam-policy-binding {name} --region {place.region}{project}",
        "topic": f"pubsub topics remove-iam-policy-binding {name}{project}",
    }[kind]
    command = f"gcloud {on} --member serviceAccount:{grant.member} --role {grant.role}"
    if kind == "topic":
        return command
    if not grant.only:
        return f"{command} --condition=None"
    has_twin = any(replace(grant, only=other.only) == other for other in wanted)
    return _apply(place) if has_twin else f"{command} --all"


# -- data ------------------------------------------------------------------------------------------


def _trigger_bucket(place: Place, facts: Facts) -> Iterator[Finding]:
    bucket, notifications = facts["trigger bucket"], facts["notifications"]
    if bucket.error:
        yield Finding("trigger bucket", _first_line(bucket), _apply(place))
        return
    if bucket.value.get("public_access_prevention") != "enforced":
        closing = f"gcloud storage buckets update gs://{place.trigger_bucket} --public-access-prevention"
        yield Finding("trigger bucket", "it could be made public", closing)
    if notifications.error or "OBJECT_FINALIZE" not in json.dumps(notifications.value):
        says = _first_line(notifications) if notifications.error else "no function is notified of dropped files"
        yield Finding("trigger bucket", says, _replace_function("on_object_finalized", place))
    else:
        yield Finding("trigger bucket", "the functions are notified of dropped files")


def _database(place: Place, facts: Facts) -> Iterator[Finding]:
    answer = facts["database"]
    if answer.error:
        yield Finding("database", _first_line(answer), _apply(place))
    elif answer.value.get("deleteProtectionState") != "DELETE_PROTECTION_ENABLED":
        protect = f"gcloud firestore databases update --database=epydrop --delete-protection --project {place.project}"
        yield Finding("database", "it is not protected from deletion", protect)
    else:
        yield Finding("database", "it exists and is protected from deletion")


def _secrets(place: Place, facts: Facts) -> Iterator[Finding]:
    answer = facts["signing key"]
    if answer.error or not answer.value:
        says = _first_line(answer) if answer.error else "it has no value: no artifact can be signed"
        remedy = _apply(place) if answer.error else f"epydrop deploy key --project {place.project}"
        yield Finding("signing key", says, remedy)
    else:
        yield Finding("signing key", "it has a value")
    token = facts.get("github token")
    if token is not None and not token.value:
        add = f"gcloud secrets versions add epydrop-github-token --data-file=- --project {place.project}"
        yield Finding("GitHub token", _first_line(token) if token.error else "the secret has no value", add)
    elif token is not None:
        yield Finding("GitHub token", "it has a value")


# -- what runs -------------------------------------------------------------------------------------


def _image(place: Place, facts: Facts) -> Iterator[Finding]:
    build = f"epydrop build cloud --project {place.project} --region {place.region}"
    released = _released(facts["tags"])
    deployed = settings_of(facts).get("EPYDROP_IMAGE", "")
    if not deployed:
        yield Finding("image", "no image is deployed, so no run can start", _apply(place) if released else build)
    elif facts["image"].error:
        yield Finding("image", f"{deployed} is deployed but not in the registry", _apply(place) if released else build)
    elif released and released != deployed:
        yield Finding("image", f"{released} is released, {deployed} is deployed", _apply(place))
    else:
        yield Finding("image", f"{deployed} is deployed")


def _released(answer: Answer) -> str:
    """The digest with the tag ``release``; gcloud prints tags and versions with their full resource names."""
    for tag in answer.value or []:
        if str(tag.get("tag", "")).rsplit("/", 1)[-1] == "release":
            return str(tag.get("version", "")).rsplit("/", 1)[-1]
    return ""


def _functions(place: Place, facts: Facts) -> Iterator[Finding]:
    for name, entry_point in FUNCTIONS.items():
        answer = facts[f"function {name}"]
        if answer.error:
            yield Finding(name, _first_line(answer), _apply(place))
            continue
        wrong = list(_wrong_with(answer.value, entry_point))
        if wrong:
            yield Finding(name, "; ".join(wrong), _replace_function(entry_point, place))
        else:
            yield Finding(name, "it is active, retries events, and is not reachable from the internet")


def _wrong_with(function: dict[str, Any], entry_point: str) -> Iterator[str]:
    state = function.get("state")
    if state != "ACTIVE":
        messages = [message.get("message", "") for message in function.get("stateMessages", [])]
        yield f"it is {state}: {' '.join(messages) or 'see the log of its build'}"
    if function.get("buildConfig", {}).get("entryPoint") != entry_point:
        yield f"its entry point is not {entry_point}"
    if function.get("eventTrigger", {}).get("retryPolicy") != "RETRY_POLICY_RETRY":
        yield "failed events are lost, because it does not retry"
    if function.get("serviceConfig", {}).get("ingressSettings") != "ALLOW_INTERNAL_ONLY":
        yield "it can be reached from the internet"


def _sweep(place: Place, facts: Facts) -> Iterator[Finding]:
    answer = facts["sweep"]
    if answer.error:
        yield Finding("sweep", _first_line(answer), _apply(place))
    elif answer.value.get("state") != "ENABLED":
        at = f"--location {place.region} --project {place.project}"
        yield Finding("sweep", f"it is {answer.value.get('state')}", f"gcloud scheduler jobs resume epydrop-sweep {at}")
    else:
        yield Finding("sweep", f"it runs: {answer.value.get('schedule')}")


def _quota(place: Place, facts: Facts) -> Iterator[Finding]:
    """The vCPUs of newer machine families have their own quotas; those of all families share the project's."""
    family = machine_family()
    for name, what, dimensions in (
        ("family quota", f"{family} vCPUs in {place.region}", {"region": place.region, "vm_family": family}),
        ("project quota", "vCPUs in all regions", {}),
    ):
        answer = facts[name]
        if answer.error:
            yield Finding("quota", _first_line(answer), f"gcloud {' '.join(questions_of_quota(place)[name])}")
            continue
        limit = _limit(answer.value, dimensions, place)
        if limit < VCPUS:
            says = f"{limit} {what}; 100 tasks at a time need {VCPUS}"
            yield Finding("quota", says, _ask_for_more(answer.value["quotaId"], dimensions, place))
        else:
            yield Finding("quota", f"{limit} {what}")


def _limit(quota: dict[str, Any], wanted: dict[str, str], place: Place) -> int:
    """The limit of the most specific entry that matches these dimensions; 0 without one: no quota is granted.

    An entry has its region among the dimensions, or lists the locations that it applies to.
    """
    fitting = [
        (len(entry.get("dimensions", {})), int(entry.get("details", {}).get("value", 0)))
        for entry in quota.get("dimensionsInfos", [])
        if entry.get("dimensions", {}).items() <= wanted.items()
        and {place.region, "global"} & set(entry.get("applicableLocations", ["global"]))
    ]
    limit = max(fitting, default=(0, 0))[1]
    return _UNLIMITED if limit < 0 else limit


def _ask_for_more(quota_id: str, dimensions: dict[str, str], place: Place) -> str:
    where = ",".join(f"{name}={value}" for name, value in dimensions.items())
    return (
        f"gcloud beta quotas preferences create --service=compute.googleapis.com --quota-id={quota_id} "
        f"{f'--dimensions={where} ' if where else ''}--preferred-value={VCPUS} --email=$(gcloud config get account) "
        f"--project={place.project}"
    )


def _apply(place: Place) -> str:
    return f"epydrop deploy apply --project {place.project} --region {place.region}"


def _replace_function(entry_point: str, place: Place) -> str:
    return f"""{_apply(place)} -- -replace='google_cloudfunctions2_function.functions["{entry_point}"]'"""


def _first_line(answer: Answer) -> str:
    return answer.error.splitlines()[0]
