"""Names that stand in the code and in Terraform, Cloud Build or the Dockerfile are the same on both sides."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.paths import ROOT
from support.terraform_plan import NAMES, load_plan, resources

from batch_emulator.engine.options import THREAD_COUNTS
from epydrop import settings
from epydrop.formats import names
from epydrop.service.parse import FINALIZED, PUBLISHED
from epydrop_stages.suites.epydemix.populations import _DATA_VERSION
from epydrop_workstation.deployment.doctor_checks import SERVICES
from epydrop_workstation.deployment.gathered import FUNCTIONS
from epydrop_workstation.deployment.grants import expected_grants
from epydrop_workstation.local.envelopes import BATCH_TOPIC, KICK_TOPIC

TERRAFORM = {path.name: path.read_text() for path in (ROOT / "terraform").glob("*.tf")}
CODE = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "stage_image").rglob("*.py")]


@pytest.fixture(scope="module")
def functions() -> dict[str, dict[str, Any]]:
    """The planned functions: name -> values."""
    found = resources(load_plan(), "google_cloudfunctions2_function").values()
    return {function["name"]: function for function in found}


def local(name: str, file: str = "names.tf") -> str:
    """A local value of Terraform that is a plain text."""
    found = re.search(rf'^\s+{name}\s+= "([^"$]*)"$', TERRAFORM[file], re.MULTILINE)
    assert found, f"{file} has no local {name}"
    return found[1]


def measured_fields() -> set[str]:
    """The names that the code gives to ``measured``, as keywords or as keys of what it unpacks there."""
    fields: set[str] = set()
    for path in CODE:
        for function in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]:
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _calls(node, "measured")]
            keywords = [keyword for call in calls for keyword in call.keywords]
            fields |= {keyword.arg for keyword in keywords if keyword.arg}
            if any(keyword.arg is None for keyword in keywords):
                dicts = [node for node in ast.walk(function) if isinstance(node, ast.Dict)]
                fields |= {key.value for each in dicts for key in each.keys if isinstance(key, ast.Constant)}
    return fields


def _calls(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == name


def test_the_entry_points_are_those_of_main(functions: dict[str, Any]) -> None:
    """A function that does not exist there fails only when it is deployed."""
    planned = {name: function["build_config"][0]["entry_point"] for name, function in functions.items()}

    assert planned == FUNCTIONS
    defined = {node.name for node in ast.parse((ROOT / "functions" / "main.py").read_text()).body
               if isinstance(node, ast.FunctionDef)}  # fmt: skip
    assert set(planned.values()) <= defined


def test_the_functions_are_told_every_setting_that_they_read(functions: dict[str, Any]) -> None:
    """And nothing that nobody reads. Values that are known only after an apply are not in the plan."""
    told = set(re.findall(r"^    (EPYDROP_\w+)\s+=", TERRAFORM["functions.tf"], re.MULTILINE))
    read = {settings.variable_of(field) for field in settings.CloudSettings.__dataclass_fields__}

    assert told == read - {"EPYDROP_BATCH_ENDPOINT"}  # which names an emulator
    for function in functions.values():
        planned = set(function["service_config"][0]["environment_variables"])
        assert told - planned <= {"EPYDROP_IMAGE", "EPYDROP_ACCEPT_FROM"}


def test_the_planned_settings_are_read_without_complaint(functions: dict[str, Any]) -> None:
    """The forms that the code demands are those that Terraform writes."""
    planned = functions["epydrop-kick"]["service_config"][0]["environment_variables"]
    known_later = {"EPYDROP_IMAGE": f"sha256:{'0' * 64}", "EPYDROP_ACCEPT_FROM": "2026-11-22T10:00:00Z"}

    assert settings.read_cloud_settings({**planned, **known_later}).region == "us-central1"


def test_the_prefixes_of_the_trigger_bucket_are_the_same() -> None:
    """Roles are narrowed down by them."""
    assert local("experiments_prefix") == names.EXPERIMENTS
    assert local("kicks_prefix") == names.KICKS
    assert local("replies_prefix") == names.REPLIES


def test_the_topics_and_event_types_are_the_same(functions: dict[str, Any]) -> None:
    """A function gets its events from the topic of its name."""
    topics = {values["name"] for values in resources(load_plan(), "google_pubsub_topic").values()}
    types = {name: function["event_trigger"][0]["event_type"] for name, function in functions.items()}

    assert topics == {BATCH_TOPIC, KICK_TOPIC, "epydrop-runs"}
    assert types == {
        "epydrop-object-finalized": FINALIZED,
        "epydrop-job-state-changed": PUBLISHED,
        "epydrop-kick": PUBLISHED,
    }


def test_every_metric_reads_what_the_code_measures() -> None:
    """A field that nobody logs makes a chart that stays empty, and an alert that never comes."""
    read = set(re.findall(r"jsonPayload\.(\w+)", TERRAFORM["metrics.tf"] + TERRAFORM["alerts.tf"]))

    assert read == measured_fields()


def test_dashboards_read_labels_that_jobs_carry() -> None:
    """Batch hands the labels of a job on to its machines."""
    read = set(re.findall(r"metadata\.user_labels\.(\w+)", TERRAFORM["dashboards.tf"]))
    attempts = (ROOT / "functions" / "epydrop" / "core" / "attempts.py").read_text()

    assert read == {"component", "exp_id", "stage"}
    for label in read:
        assert f'"{label}"' in attempts, f"no job carries the label {label}"
    assert '"component": "epydrop"' in attempts
    assert re.search(r"stages\s+= toset\((.*)\)", TERRAFORM["dashboards.tf"])[1] == (
        "[" + ", ".join(f'"{stage}"' for stage in names.Stage) + "]"
    )


def test_the_doctor_asks_for_services_that_terraform_enables() -> None:
    """It must not wait for what nobody enables."""
    enabled = set(re.findall(r'"(\w+)\.googleapis\.com",', TERRAFORM["services.tf"]))

    assert set(SERVICES) <= enabled


def test_the_page_of_security_speaks_of_every_account_that_has_a_role() -> None:
    """What an account could do at worst is said, also of one that is added."""
    page = (ROOT / "docs" / "security.md").read_text()
    members = {grant.member for grant in expected_grants(dict.fromkeys(NAMES, "x"), github_token=True)}
    names = {member.partition("@")[0] for member in members if member.endswith("@x.iam.gserviceaccount.com")}
    agents = {member.partition("@")[2].partition(".")[0] for member in members} - {"x"}

    assert len(names) == 5
    assert len(agents) == 3
    assert {name for name in names | agents if f"`{name}`" not in page} == set()


def test_cloud_build_pushes_where_terraform_looks() -> None:
    """The same repository, image and tag."""
    build = YAML(typ="safe").load((ROOT / "cloudbuild.yaml").read_text())

    assert build["substitutions"]["_IMAGE"] == "${_REGION}-docker.pkg.dev/${PROJECT_ID}/epydrop/stage"
    assert local("image_name") == "stage"
    assert 'contains(coalesce(image.tags, []), "release")' in TERRAFORM["registry.tf"]
    assert "${_IMAGE}:release" in build["steps"][-1]["args"][-1]
    assert build["serviceAccount"].startswith("projects/$PROJECT_ID/serviceAccounts/epydrop-build@")


def test_the_image_computes_as_one_machine_does() -> None:
    """The same threads and the same hash seed: the same bytes."""
    dockerfile = (ROOT / "stage_image" / "Dockerfile").read_text()
    for name in (*THREAD_COUNTS, "PYTHONHASHSEED"):
        if name != "VECLIB_MAXIMUM_THREADS":  # Apple's
            assert re.search(rf"\b{name}=[01]\b", dockerfile), name


def test_the_data_of_the_image_are_those_that_the_suite_loads() -> None:
    """Named in the Dockerfile's folder, its label and the structure test."""
    for file in ("Dockerfile", "structure-test.yaml"):
        named = set(re.findall(r"v\d+\.\d+\.\d+", (ROOT / "stage_image" / file).read_text()))
        assert named == {_DATA_VERSION}, file


def test_the_build_tests_the_image_with_a_tool_that_knows_the_keys_of_the_test() -> None:
    """``user`` came with 1.11, ``envVars`` by 1.16, and what is unknown is an error."""
    version = re.search(r"container-structure-test:v(\d+)\.(\d+)", (ROOT / "cloudbuild.yaml").read_text())

    assert version is not None
    assert (int(version[1]), int(version[2])) >= (1, 16)
