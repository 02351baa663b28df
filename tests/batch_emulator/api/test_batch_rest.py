"""The plain HTTP of the API, as curl and other libraries see it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from support.batch_jobs import a_job, ran

JOB = {"taskGroups": [{"taskSpec": {"runnables": [{"script": {"text": "true"}}]}}]}


@pytest.fixture
def http(served):
    """Sends a request; the status and the JSON of the answer."""

    def send(method, path, body=None, headers=None):
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(f"{served.rest_url}{path}", data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=900) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return send


def test_a_job_is_json_as_google_writes_it(http, place):
    """Names in camelCase, 64-bit numbers as texts, times with a Z, states by name."""
    status, job = http("POST", f"/v1/{place}/jobs?jobId=job-1&alt=json&prettyPrint=true", JOB)

    assert status == 200
    assert job["taskGroups"][0]["taskCount"] == "1"
    assert job["createTime"].endswith("Z")
    assert job["status"]["state"] == "QUEUED"


def test_states_are_numbers_for_those_who_ask(http, place):
    """As Google's own libraries do."""
    http("POST", f"/v1/{place}/jobs?jobId=job-1", JOB)

    _, job = http("GET", f"/v1/{place}/jobs/job-1?$alt=json%3Benum-encoding%3Dint")

    assert isinstance(job["status"]["state"], int)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "name", "message"),
    [
        ("GET", "/v1/{place}/jobs/none", None, 404, "NOT_FOUND", "jobs/none"),
        ("POST", "/v1/{place}/jobs?jobId=taken", JOB, 409, "ALREADY_EXISTS", "jobs/taken"),
        ("POST", "/v1/{place}/jobs?jobId=Job", JOB, 400, "INVALID_ARGUMENT", "job_id"),
        ("POST", "/v1/{place}/jobs", b"{", 400, "INVALID_ARGUMENT", "body"),
        ("POST", "/v1/{place}/jobs", b"[]", 400, "INVALID_ARGUMENT", "body"),
        ("POST", "/v1/{place}/jobs", b"\xff", 400, "INVALID_ARGUMENT", "body"),
        ("POST", "/v1/{place}/jobs", {"colour": "red"}, 400, "INVALID_ARGUMENT", "colour"),
        ("POST", "/v1/{place}/jobs", {"priority": "high"}, 400, "INVALID_ARGUMENT", "priority"),
        ("POST", "/v1/{place}/jobs?colour=red", JOB, 400, "INVALID_ARGUMENT", "colour"),
        ("POST", "/v1/{place}/jobs/taken:cancel", b"7", 400, "INVALID_ARGUMENT", "body"),
        ("GET", "/v1/{place}/jobs?pageSize=many", None, 400, "INVALID_ARGUMENT", "pageSize"),
        ("POST", "/v1/{place}/jobs/taken:cancel", {}, 400, "FAILED_PRECONDITION", "cannot be cancelled"),
        ("PATCH", "/v1/{place}/jobs/taken", JOB, 404, "NOT_FOUND", "not a method of Cloud Batch v1"),
        ("GET", "/v1/somewhere", None, 404, "NOT_FOUND", "not a method of Cloud Batch v1"),
        ("POST", "/v1/{place}/operations/none:cancel", {}, 404, "NOT_FOUND", "operations/none"),
    ],
)
def test_an_error_is_json_as_google_writes_it(http, clients, place, method, path, body, status, name, message):
    """Whatever was sent."""
    ran(clients["grpc"], place, a_job(), "taken")

    got, answer = http(method, path.format(place=place), body)

    assert got == answer["error"]["code"] == status
    assert answer["error"]["status"] == name
    assert message in answer["error"]["message"]


def test_an_operation_can_be_waited_for_over_http(http, place):
    """A path that other services have, too."""
    http("POST", f"/v1/{place}/jobs?jobId=job-1", JOB)
    _, operation = http("DELETE", f"/v1/{place}/jobs/job-1?reason=test")

    status, done = http("POST", f"/v1/{operation['name']}:wait", {"timeout": "30s"})

    assert (status, done["done"]) == (200, True)
    assert done["response"]["@type"] == "type.googleapis.com/google.protobuf.Empty"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://page.example", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.example:8096"},
    ],
)
def test_no_web_page_starts_jobs(http, place, headers):
    """A browser would send it from any page that is open, and jobs run commands on this machine."""
    status, answer = http("POST", f"/v1/{place}/jobs?jobId=stray", JOB, headers)

    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert http("GET", f"/v1/{place}/jobs/stray")[0] == 404
