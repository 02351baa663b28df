"""What the doctor says of a deployment, and the command that it names for each thing that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.gcloud_answers import DIGEST, PLACE, healthy
from typer.testing import CliRunner

from epydrop_workstation.cli import doctor
from epydrop_workstation.cli.main import app
from epydrop_workstation.deployment.doctor_checks import Finding, findings
from epydrop_workstation.deployment.gathered import Answer, first_questions, further_questions, gather

APPLY = "epydrop deploy apply --project demo-project --region us-central1"
Facts = dict[str, Answer]


def wrong_with(facts: Facts) -> list[Finding]:
    """What is not as it should be."""
    return [finding for finding in findings(PLACE, facts) if not finding.is_fine]


def test_a_whole_deployment_lacks_nothing() -> None:
    """Every check has something to say, and none of it is a complaint."""
    found = list(findings(PLACE, healthy()))

    assert [finding for finding in found if not finding.is_fine] == []
    assert {finding.check for finding in found} == {
        "services", "roles", "trigger bucket", "database", "signing key", "image", "sweep", "quota",
        "epydrop-object-finalized", "epydrop-job-state-changed", "epydrop-kick",
    }  # fmt: skip


def change(question: str, **values: Any) -> Callable[[Facts], None]:
    """Some fields of an answer are otherwise."""

    def apply(facts: Facts) -> None:
        facts[question] = Answer({**facts[question].value, **values})

    return apply


def answer(question: str, value: Any) -> Callable[[Facts], None]:
    """Another answer altogether."""
    return lambda facts: facts.__setitem__(question, Answer(value))


def refuse(
    question: str, error: str = "ERROR: (gcloud) NOT_FOUND: there is none\nmore words"
) -> Callable[[Facts], None]:
    """No answer, but an error."""
    return lambda facts: facts.__setitem__(question, Answer(error=error))


def settings(**values: str) -> Callable[[Facts], None]:
    """Another environment of the functions."""

    def apply(facts: Facts) -> None:
        for question in [name for name in facts if name.startswith("function ")]:
            facts[question].value["serviceConfig"]["environmentVariables"].update(values)

    return apply


def family(vcpus: int) -> dict[str, Any]:
    """What a quota says of the runner's machines."""
    return {"dimensions": {"region": "us-central1", "vm_family": "C4D"}, "details": {"value": str(vcpus)}}


@pytest.mark.parametrize(
    ("harm", "check", "says", "remedy"),
    [
        (answer("services", []), "services", "batch.googleapis.com", "gcloud services enable artifactregistry."),
        (refuse("services"), "services", "NOT_FOUND", "gcloud services list"),
        (refuse("policy of topic epydrop-batch"), "roles on topic epydrop-batch", "NOT_FOUND", APPLY),
        (answer("policy of secret epydrop-signing-key", {}), "roles", "secretAccessor on secret epydrop-", APPLY),
        (refuse("trigger bucket"), "trigger bucket", "NOT_FOUND", APPLY),
        (change("trigger bucket", public_access_prevention="inherited"), "trigger bucket", "public", "--public-access"),
        (answer("notifications", []), "trigger bucket", "no function is notified", 'functions["on_object_finalized"]'),
        (refuse("database"), "database", "NOT_FOUND", APPLY),
        (change("database", deleteProtectionState=""), "database", "not protected", "--delete-protection"),
        (answer("signing key", []), "signing key", "no artifact can be signed", "epydrop deploy key"),
        (refuse("signing key"), "signing key", "NOT_FOUND", APPLY),
        (answer("github token", []), "GitHub token", "no value", "gcloud secrets versions add epydrop-github-token"),
        (refuse("image"), "image", "not in the registry", APPLY),
        (settings(EPYDROP_IMAGE=""), "image", "no image is deployed", APPLY),
        (settings(EPYDROP_IMAGE=f"sha256:{'c' * 64}"), "image", "is released", APPLY),
        (refuse("function epydrop-kick"), "epydrop-kick", "NOT_FOUND", APPLY),
        (change("function epydrop-kick", state="FAILED"), "epydrop-kick", "it is FAILED", 'functions["on_kick"]'),
        (change("function epydrop-kick", eventTrigger={}), "epydrop-kick", "failed events", 'functions["on_kick"]'),
        (change("function epydrop-kick", serviceConfig={}), "epydrop-kick", "internet", 'functions["on_kick"]'),
        (change("function epydrop-kick", buildConfig={}), "epydrop-kick", "entry point", 'functions["on_kick"]'),
        (change("sweep", state="PAUSED"), "sweep", "PAUSED", "gcloud scheduler jobs resume epydrop-sweep"),
        (refuse("sweep"), "sweep", "NOT_FOUND", APPLY),
        (
            change("family quota", dimensionsInfos=[family(24)]),
            "quota",
            "24 C4D vCPUs in us-central1; 100 tasks at a time need 200",
            "--quota-id=CPUS-PER-VM-FAMILY-per-project-region --dimensions=region=us-central1,vm_family=C4D",
        ),
        (change("family quota", dimensionsInfos=[]), "quota", "0 C4D vCPUs", "gcloud beta quotas preferences create"),
        (
            change("project quota", dimensionsInfos=[{"details": {"value": "64"}}]),
            "quota",
            "64 vCPUs in all regions",
            "--quota-id=CPUS-ALL-REGIONS-per-project --preferred-value=200 --email=",
        ),
        (refuse("family quota"), "quota", "NOT_FOUND", "gcloud beta quotas info describe CPUS-PER-VM-FAMILY"),
    ],
)
def test_each_fault_is_found_alone_and_named_with_its_remedy(
    harm: Callable[[Facts], None], check: str, says: str, remedy: str
) -> None:
    """One thing is broken, one thing is said."""
    facts = healthy()
    harm(facts)

    (finding,) = wrong_with(facts)
    assert finding.check == check
    assert says in finding.says
    assert remedy in finding.remedy
    assert "\n" not in finding.says + finding.remedy


def test_before_the_first_build_the_remedy_is_to_build() -> None:
    """There is nothing that an apply could deploy."""
    facts = healthy()
    settings(EPYDROP_IMAGE="")(facts)
    answer("tags", [])(facts)

    (finding,) = wrong_with(facts)
    assert finding.remedy == "epydrop build cloud --project demo-project --region us-central1"


def test_every_missing_role_is_named() -> None:
    """With its member, its condition and what it is on."""
    facts = healthy()
    answer("policy of bucket epydrop-trigger-demo-project", {})(facts)

    said = [finding.says for finding in wrong_with(facts)]
    assert len(said) == 6
    assert (
        "missing: epydrop-kick@demo-project.iam.gserviceaccount.com: roles/storage.objectUser (only replies/) "
        "on bucket epydrop-trigger-demo-project"
    ) in said


@pytest.mark.parametrize(
    ("resource", "remedy"),
    [
        ("project", "gcloud projects remove-iam-policy-binding demo-project --member"),
        ("account epydrop-batch", "gcloud iam service-accounts remove-iam-policy-binding epydrop-batch@"),
        ("bucket epydrop-data-demo-project", "gcloud storage buckets remove-iam-policy-binding gs://epydrop-data-"),
        ("topic epydrop-runs", "gcloud pubsub topics remove-iam-policy-binding epydrop-runs"),
    ],
)
def test_a_role_too_many_is_found(resource: str, remedy: str) -> None:
    """Only of our own accounts: whom else an owner trusts is the owner's business."""
    facts = healthy()
    members = ["serviceAccount:epydrop-kick@demo-project.iam.gserviceaccount.com", "user:owner@example.org"]
    facts[f"policy of {resource}"].value["bindings"].append({"role": "roles/owner", "members": members})

    (finding,) = wrong_with(facts)
    assert "not needed: epydrop-kick@" in finding.says
    assert finding.remedy.startswith(remedy)
    assert "--role roles/owner" in finding.remedy
    assert finding.remedy.endswith("--condition=None") == (not resource.startswith("topic"))


def test_the_remedy_for_a_role_too_many_takes_none_that_is_wanted() -> None:
    """The same role, without its condition or with another one, beside the one that the functions need."""
    facts = healthy()
    member = "serviceAccount:epydrop-kick@demo-project.iam.gserviceaccount.com"
    bindings = facts["policy of bucket epydrop-trigger-demo-project"].value["bindings"]
    bindings.append({"role": "roles/storage.objectUser", "members": [member]})
    bindings.append({"role": "roles/storage.objectUser", "members": [member], "condition": {"title": "for a while"}})

    plain, narrowed = sorted(finding.remedy for finding in wrong_with(facts))[::-1]

    assert plain.endswith("--role roles/storage.objectUser --condition=None")
    assert narrowed == APPLY


def test_of_a_project_that_cannot_be_asked_only_that_is_said() -> None:
    """Thirty errors with one cause help nobody."""
    facts = {name: Answer(error="ERROR: not logged in") for name in first_questions(PLACE)}
    facts |= {name: Answer(error="ERROR: not logged in") for name in further_questions(PLACE, facts)}

    (finding,) = wrong_with(facts)
    assert finding.check == "project"
    assert "gcloud auth login" in finding.remedy


def test_everything_that_is_judged_was_asked() -> None:
    """The questions of both rounds, and no others."""
    facts, asked = healthy(), []

    def ask(words: tuple[str, ...]) -> Answer:
        asked.append(words)
        questions = {**first_questions(PLACE), **further_questions(PLACE, facts)}
        return next(facts[name] for name, each in questions.items() if each == words)

    assert gather(PLACE, ask) == facts
    assert len(asked) == len(set(asked)) == len(facts)
    assert ("artifacts", "docker", "images", "describe", f"{PLACE.image}@{DIGEST}") in asked


def test_the_command_tells_and_its_exit_code_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """For people, and as JSON for programs."""
    facts = healthy()
    monkeypatch.setattr(doctor, "gather", lambda place: facts)
    words = ["doctor", "--project", "demo-project", "--region", "us-central1"]

    fine = CliRunner().invoke(app, words)
    change("sweep", state="PAUSED")(facts)
    told, listed = CliRunner().invoke(app, words), CliRunner().invoke(app, [*words, "--json"])

    assert (fine.exit_code, told.exit_code, listed.exit_code) == (0, 1, 1)
    assert "WRONG sweep: it is PAUSED" in told.stdout
    assert "fix: gcloud scheduler jobs resume" in told.stdout
    assert [finding["check"] for finding in json.loads(listed.stdout) if finding["remedy"]] == ["sweep"]
