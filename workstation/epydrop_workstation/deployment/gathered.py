"""The state of a project, gathered with read-only gcloud commands. The checks of it are in ``doctor_checks``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from epydrop.errors import ConfigurationError
from epydrop.experiment.sections.run import RUNNER_FAMILY
from epydrop_workstation.deployment.grants import Grant, expected_grants

AT_ONCE = 8
PATIENCE = 120  # seconds for one answer

FUNCTIONS = {
    "epydrop-object-finalized": "on_object_finalized",
    "epydrop-job-state-changed": "on_job_state_changed",
    "epydrop-kick": "on_kick",
}


@dataclass(frozen=True)
class Answer:
    """The JSON that gcloud printed, or its error message."""

    value: Any = None
    error: str = ""


Facts = Mapping[str, Answer]
Ask = Callable[[tuple[str, ...]], Answer]


@dataclass(frozen=True)
class Place:
    """The project and region of a deployment."""

    project: str
    region: str

    @property
    def trigger_bucket(self) -> str:
        """The name of the bucket for dropped files."""
        return f"epydrop-trigger-{self.project}"

    @property
    def image(self) -> str:
        """The stage image, without tag or digest."""
        return f"{self.region}-docker.pkg.dev/{self.project}/epydrop/stage"


def ask_gcloud(words: tuple[str, ...]) -> Answer:
    """Runs one gcloud command. Raises ConfigurationError if gcloud is not installed."""
    command = ("gcloud", *words, "--format=json")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except FileNotFoundError as error:
        raise ConfigurationError("gcloud is not installed; epydrop doctor needs it") from error
    except subprocess.TimeoutExpired:
        return Answer(error=f"no answer within {PATIENCE} s")
    if done.returncode:
        return Answer(error=done.stderr.strip() or f"exit code {done.returncode}")
    return Answer(json.loads(done.stdout or "null"))


def gather(place: Place, ask: Ask = ask_gcloud) -> dict[str, Answer]:
    """All answers that the checks need. Two rounds, because the second asks for resources that the first one named."""
    facts = _ask_all(first_questions(place), ask)
    return {**facts, **_ask_all(further_questions(place, facts), ask)}


def _ask_all(questions: Mapping[str, tuple[str, ...]], ask: Ask) -> dict[str, Answer]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(questions, pool.map(ask, questions.values()), strict=True))


def first_questions(place: Place) -> dict[str, tuple[str, ...]]:
    """The questions of the first round: name -> gcloud arguments."""
    project = ("--project", place.project)
    return {
        "project": ("projects", "describe", place.project),
        "services": ("services", "list", "--enabled", *project),
        "database": ("firestore", "databases", "describe", "--database=epydrop", *project),
        **questions_of_quota(place),
        "sweep": ("scheduler", "jobs", "describe", "epydrop-sweep", "--location", place.region, *project),
        "tags": ("artifacts", "docker", "tags", "list", place.image, *project),
        "trigger bucket": ("storage", "buckets", "describe", f"gs://{place.trigger_bucket}"),
        "notifications": ("storage", "buckets", "notifications", "list", f"gs://{place.trigger_bucket}"),
        "signing key": _enabled_version("epydrop-signing-key", place),
        **{
            f"function {name}": ("functions", "describe", name, "--gen2", "--region", place.region, *project)
            for name in FUNCTIONS
        },
    }


def questions_of_quota(place: Place) -> dict[str, tuple[str, ...]]:
    """The vCPU quotas that limit the runner: of its machine family in the region, and of all families."""
    return {
        name: (
            "beta",
            "quotas",
            "info",
            "describe",
            quota,
            "--service=compute.googleapis.com",
            f"--project={place.project}",
        )
        for name, quota in (
            ("family quota", "CPUS-PER-VM-FAMILY-per-project-region"),
            ("project quota", "CPUS-ALL-REGIONS-per-project"),
        )
    }


def machine_family() -> str:
    """The runner's default machine family, as quotas name it: C4D."""
    return RUNNER_FAMILY.partition("-")[0].upper()


def further_questions(place: Place, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The questions that depend on the functions' settings: the deployed image, the token, and the IAM policies."""
    settings = settings_of(facts)
    questions: dict[str, tuple[str, ...]] = {}
    if digest := settings.get("EPYDROP_IMAGE"):
        questions["image"] = ("artifacts", "docker", "images", "describe", f"{place.image}@{digest}")
    if settings.get("EPYDROP_GITHUB_PAT_SECRET"):
        questions["github token"] = _enabled_version("epydrop-github-token", place)
    for resource in sorted({grant.resource for grant in wanted_grants(place, facts)}):
        questions[f"policy of {resource}"] = _policy_of(resource, place)
    return questions


def settings_of(facts: Facts) -> dict[str, str]:
    """The environment variables of the functions, from the first that answered; empty if none did."""
    for name in FUNCTIONS:
        answer = facts.get(f"function {name}", Answer())
        if answer.value:
            return dict(answer.value.get("serviceConfig", {}).get("environmentVariables", {}))
    return {}


def wanted_grants(place: Place, facts: Facts) -> set[Grant]:
    """The roles that this deployment should have granted."""
    settings = settings_of(facts)
    data_url = settings.get("EPYDROP_DATA_URL", f"gs://epydrop-data-{place.project}/")
    names = {
        "project": place.project,
        "number": str((facts["project"].value or {}).get("projectNumber", "NUMBER")),
        "trigger_bucket": place.trigger_bucket,
        "data_bucket": data_url.removeprefix("gs://").split("/")[0],
        "source_bucket": f"epydrop-source-{place.project}",
    }
    return expected_grants(names, github_token=bool(settings.get("EPYDROP_GITHUB_PAT_SECRET")))


def _enabled_version(secret: str, place: Place) -> tuple[str, ...]:
    return ("secrets", "versions", "list", secret, "--filter=state=ENABLED", "--limit=1", "--project", place.project)


def _policy_of(resource: str, place: Place) -> tuple[str, ...]:
    kind, _, name = resource.partition(" ")
    project = ("--project", place.project)
    match kind:
        case "project":
            return ("projects", "get-iam-policy", place.project)
        case "account":
            return (
                *("iam", "service-accounts", "get-iam-policy"),
                *(f"{name}@{place.project}.iam.gserviceaccount.com", *project),
            )
        case "bucket":
            return ("storage", "buckets", "get-iam-policy", f"gs://{name}")
        case "repository":
            return ("artifacts", "repositories", "get-iam-policy", name, "--location", place.region, *project)
        case "secret":
            return ("secrets", "get-iam-policy", name, *project)
        case "service":
            return ("run", "services", "get-iam-policy", name, "--region", place.region, *project)
        case "topic":
            return ("pubsub", "topics", "get-iam-policy", name, *project)
        case _:
            raise AssertionError(f"grants.yaml has a resource of the unknown kind {kind}")
