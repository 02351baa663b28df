"""What terraform plans for somebody who gives only the project and the region."""

from __future__ import annotations

from typing import Any

import pytest
from support.terraform_plan import NAMES, load_plan, planned_grants, resources

from epydrop_workstation.deployment.grants import expected_grants


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    """Made once by .ci/terraform."""
    return load_plan()


def test_the_plan_gives_exactly_the_roles_of_the_list(plan: dict[str, Any]) -> None:
    """``workstation/epydrop_workstation/deployment/grants.yaml`` is the whole truth."""
    planned = list(planned_grants(plan))

    assert sorted(map(str, planned)) == sorted(map(str, expected_grants(NAMES, github_token=False)))


def test_nobody_gets_a_role_that_can_do_anything(plan: dict[str, Any]) -> None:
    """No basic role, no administrator of a service, and nothing that lets one act as any account."""
    for grant in planned_grants(plan):
        assert grant.role not in ("roles/owner", "roles/editor", "roles/viewer"), grant
        assert not grant.role.endswith("admin") or grant.role == "roles/ondemandscanning.admin", grant
        assert not (grant.resource == "project" and grant.role.startswith("roles/iam.")), grant


def test_nothing_is_open_to_everybody(plan: dict[str, Any]) -> None:
    """Neither to the world nor to everyone with an account."""
    assert not [grant for grant in planned_grants(plan) if grant.member.startswith("all")]


def test_each_function_runs_and_is_called_as_its_own_account(plan: dict[str, Any]) -> None:
    """So that each account's roles are those of one function."""
    functions = resources(plan, "google_cloudfunctions2_function").values()

    accounts = {function["service_config"][0]["service_account_email"] for function in functions}
    assert accounts == {f"{function['name']}@demo-project.iam.gserviceaccount.com" for function in functions}
    for function in functions:
        assert function["event_trigger"][0]["service_account_email"] in accounts


def test_conditions_name_what_their_titles_say(plan: dict[str, Any]) -> None:
    """A title is for people; the expression is what counts."""
    members = resources(plan, "google_storage_bucket_iam_member") | resources(plan, "google_project_iam_member")
    said = {
        (condition["title"], condition["expression"])
        for values in members.values()
        for condition in values.get("condition") or []
        if "expression" in condition
    }

    data, trigger = (f"projects/_/buckets/epydrop-{name}-demo-project" for name in ("data", "trigger"))
    assert said == {
        ("only replies/", f'resource.name.startsWith("{trigger}/objects/replies/")'),
        ("only the runs", f'resource.name == "{data}" || resource.name.startsWith("{data}/objects/runs/")'),
        ("only database epydrop", 'resource.name == "projects/demo-project/databases/epydrop"'),
    }


def test_everything_that_can_carry_labels_carries_ours(plan: dict[str, Any]) -> None:
    """Bills and dashboards are read by them."""
    labelled = 0
    for resource in plan["planned_values"]["root_module"]["resources"]:
        labels = resource["values"].get("effective_labels") or resource["values"].get("user_labels")
        if "effective_labels" in resource["values"] or "user_labels" in resource["values"]:
            labelled += 1
            assert labels is not None, resource["address"]
            assert labels["component"] == "epydrop", resource["address"]
            assert labels["environment"] == "production", resource["address"]

    assert labelled > 10


def test_no_name_is_drawn_at_random(plan: dict[str, Any]) -> None:
    """People type these names."""
    assert not [r for r in plan["planned_values"]["root_module"]["resources"] if r["type"].startswith("random_")]


def test_no_secret_passes_through_terraform(plan: dict[str, Any]) -> None:
    """What terraform knows ends in its state, in plain text."""
    assert not resources(plan, "google_secret_manager_secret_version")
