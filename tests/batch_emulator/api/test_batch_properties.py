"""Random jobs: valid ones look alike whichever way they came and are read; invalid ones are refused by their field."""

from __future__ import annotations

import copy
import json
import urllib.request
from datetime import timedelta

import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.batch_jobs import a_place, violations

from batch_emulator.api.filters import read_filter
from batch_emulator.engine.faults import InvalidFault, parse_faults
from batch_emulator.protocol.errors import ApiError

HELD = {"mischief-hold": "queued"}

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
keys = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
labels = st.dictionaries(keys, st.from_regex(r"[a-z0-9_-]{0,20}", fullmatch=True), max_size=4)
legal_labels = labels.map(
    lambda found: {key: value for key, value in found.items() if not key.startswith(("goog", "mischief-"))}
)
environments = st.fixed_dictionaries(
    {},
    optional={"variables": st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True), texts, max_size=3)},
)
durations = st.integers(1, 10**6).map(lambda n: timedelta(milliseconds=n))
scripts = st.one_of(st.builds(dict, text=texts), st.builds(dict, path=texts.map(lambda text: f"/{text}")))
containers = st.fixed_dictionaries(
    {"image_uri": texts.map(lambda text: f"i{text}"), "commands": st.lists(texts, min_size=1, max_size=3)},
    optional={"options": st.sampled_from(["", "--memory 2g", "-e A=1 --network host"]), "entrypoint": texts},
)
common = {
    "display_name": texts,
    "ignore_exit_status": st.booleans(),
    "always_run": st.booleans(),
    "environment": environments,
    "timeout": durations,
    "labels": legal_labels,
}
runnables = st.one_of(
    st.fixed_dictionaries({"script": scripts}, optional=common),
    st.fixed_dictionaries({"container": containers}, optional=common),
)
policies = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["RETRY_TASK", "FAIL_TASK"]),
        "action_condition": st.builds(dict, exit_codes=st.lists(st.integers(0, 50_006), min_size=1, max_size=4)),
    }
)
specs = st.fixed_dictionaries(
    {"runnables": st.lists(runnables, min_size=1, max_size=3)},
    optional={
        "max_retry_count": st.integers(0, 10),
        "max_run_duration": durations,
        "lifecycle_policies": st.lists(policies, max_size=1),
        "environment": environments,
        "compute_resource": st.fixed_dictionaries(
            {}, optional={"cpu_milli": st.integers(0, 10**6), "memory_mib": st.integers(0, 10**7)}
        ),
    },
)
groups = st.fixed_dictionaries(
    {"task_spec": specs},
    optional={
        "task_count": st.integers(0, 200),
        "parallelism": st.integers(0, 5000),
        "task_environments": st.lists(environments, max_size=3),
        "task_count_per_node": st.integers(0, 10),
        "run_as_non_root": st.booleans(),
    },
)
topics = st.sampled_from(["", "projects/p/topics/t"])
messages = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"type_": st.just("JOB_STATE_CHANGED")}, optional={"new_job_state": st.sampled_from(["FAILED"])}
    ),
    st.just({"new_task_state": "SUCCEEDED"}),
)
allocations = st.fixed_dictionaries(
    {},
    optional={
        "location": st.just({"allowed_locations": ["zones/us-central1-a", "zones/us-central1-f"]}),
        "instances": st.lists(
            st.just({"policy": {"machine_type": "c4d-standard-2", "provisioning_model": "SPOT"}}), max_size=1
        ),
        "labels": legal_labels,
        "network": st.just({"network_interfaces": [{"network": "global/networks/n", "no_external_ip_address": True}]}),
    },
)
jobs = st.fixed_dictionaries(
    {
        "task_groups": st.lists(groups, min_size=1, max_size=1),
        "labels": legal_labels.map(lambda found: {**found, **HELD}),
    },
    optional={
        "priority": st.integers(0, 99),
        "allocation_policy": allocations,
        "notifications": st.lists(st.builds(dict, pubsub_topic=topics, message=messages), max_size=2),
        "logs_policy": st.just({"destination": "CLOUD_LOGGING"}),
        "uid": texts,
        "name": texts,
    },
)

slow = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def comparable(job) -> batch_v1.Job.pb():
    """Without what differs between two jobs of the same wish."""
    found = batch_v1.Job.pb(batch_v1.Job(job))
    for field in ("name", "uid", "create_time", "update_time"):
        found.ClearField(field)
    found.task_groups[0].ClearField("name")
    return found


@slow
@given(jobs)
def test_a_job_is_the_same_over_both_transports(served, clients, job):
    """Created and read in all four ways; and the JSON says what the message says."""
    place = a_place()
    created = {kind: client.create_job(parent=place, job=job, job_id=f"by-{kind}") for kind, client in clients.items()}

    shown = [comparable(reader.get_job(name=created[writer].name)) for writer in clients for reader in clients.values()]

    assert all(other == shown[0] for other in shown)
    with urllib.request.urlopen(f"{served.rest_url}/v1/{created['grpc'].name}") as response:
        text = json.load(response)
    assert text == json_format.MessageToDict(batch_v1.Job.pb(clients["grpc"].get_job(name=created["grpc"].name)))
    for name in [found.name for found in created.values()]:
        clients["grpc"].delete_job(name=name)


@slow
@given(jobs)
def test_what_is_kept_is_what_was_asked_for(clients, job):
    """A field that was set is there as it was, but for those that only the server fills in."""
    client = clients["grpc"]
    created = client.create_job(parent=a_place(), job=job)

    asked, kept = batch_v1.Job.pb(batch_v1.Job(job)), batch_v1.Job.pb(created)
    group, kept_group = asked.task_groups[0], kept.task_groups[0]
    count = len(group.task_environments) or group.task_count or 1
    assert kept_group.task_count == count
    assert kept_group.parallelism == (group.parallelism or count)
    assert (kept.labels, kept.priority, list(kept.notifications)) == (
        asked.labels,
        asked.priority,
        list(asked.notifications),
    )
    resources, kept_resources = group.task_spec.compute_resource, kept_group.task_spec.compute_resource
    assert kept_resources.cpu_milli == (resources.cpu_milli or 2000)
    assert kept_resources.memory_mib == (resources.memory_mib or 2000)
    for spec in (group.task_spec, kept_group.task_spec):
        spec.ClearField("compute_resource")
    assert kept_group.task_spec == group.task_spec
    client.delete_job(name=created.name)


def put(path, value):
    """Sets what a path like 'task_groups.0.task_count' leads to."""

    def change(job):
        *way, last = path.split(".")
        for step in way:
            job = job[int(step)] if step.isdigit() else job.setdefault(step, {})
        job[last] = value

    return change


GROUP, SPEC = "job.task_groups[0]", "job.task_groups[0].task_spec"
IN_SPEC = "task_groups.0.task_spec"
wrongs = st.one_of(
    st.integers(100_001, 2**62).map(lambda n: (f"{GROUP}.task_count", put("task_groups.0.task_count", n))),
    st.integers(-(2**62), -1).map(lambda n: (f"{GROUP}.task_count", put("task_groups.0.task_count", n))),
    st.integers(5001, 2**62).map(lambda n: (f"{GROUP}.parallelism", put("task_groups.0.parallelism", n))),
    st.integers(11, 2**30).map(
        lambda n: (f"{SPEC}.max_retry_count", put("task_groups.0.task_spec.max_retry_count", n))
    ),
    st.one_of(st.integers(100, 2**62), st.integers(-(2**62), -1)).map(lambda n: ("job.priority", put("priority", n))),
    st.text("ABC !/", min_size=1).map(lambda key: ("job.labels", put("labels", {**HELD, key: ""}))),
    st.text("ABC !/", min_size=1).map(lambda value: ("job.labels['a']", put("labels", {**HELD, "a": value}))),
    st.text("/-a", max_size=9).map(
        lambda place: (
            "job.allocation_policy.location.allowed_locations[0]",
            put("allocation_policy.location", {"allowed_locations": [place]}),
        )
    ),
    st.text("ab/", min_size=1).map(
        lambda topic: ("job.notifications[0].pubsub_topic", put("notifications", [{"pubsub_topic": topic}]))
    ),
    st.just((f"{SPEC}.runnables[0]", put(f"{IN_SPEC}.runnables", [{}]))),
)


@slow
@given(jobs, wrongs, st.sampled_from(["grpc", "rest"]))
def test_one_wrong_field_is_the_one_that_is_named(clients, job, wrong, transport):
    """And nothing is created."""
    field, change = wrong
    place, broken = a_place(), copy.deepcopy(job)
    change(broken)

    with pytest.raises(exceptions.BadRequest) as caught:
        clients[transport].create_job(parent=place, job=broken)

    assert set(violations(caught.value)) == {field}
    assert not list(clients["grpc"].list_jobs(parent=place))


@given(st.text(st.sampled_from("abz.: =<>!()\"'\\ANDORT-_1*"), max_size=40))
def test_any_text_is_a_filter_or_is_refused(text):
    """It never fails in another way, and a filter always gives an answer."""
    fields = {"name": "a", "state": "b", "labels": {"a": "b"}}
    try:
        answer = read_filter(text, {"name": str, "state": str})(fields)
    except ApiError:
        return
    assert answer in {True, False}


words = st.text(st.sampled_from("preemtxdlos-_0123456789"), max_size=12)
values = st.text(st.sampled_from("0123456789x-_smh"), max_size=9)


@given(words, values)
def test_any_word_is_a_fault_or_is_refused(word, value):
    """It never fails in another way."""
    try:
        faults = parse_faults({word: value})
    except InvalidFault:
        return
    assert 0 <= faults.drop <= 1
