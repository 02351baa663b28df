"""The calls of BatchService that list, by Google's own client over both transports."""

from __future__ import annotations

import pytest
from google.api_core import exceptions
from support.batch_jobs import a_job, ran, violations


def ids_of(client, request):
    return [job.name.rsplit("/", 1)[1] for job in client.list_jobs(request)]


def test_a_long_list_comes_in_pages(client, place):
    """Each job once."""
    names = [client.create_job(parent=place, job=a_job(), job_id=f"job-{n}").name for n in range(7)]

    pages = list(client.list_jobs({"parent": place, "page_size": 3, "order_by": "name"}).pages)

    assert [[job.name for job in page.jobs] for page in pages] == [names[:3], names[3:6], names[6:]]


def test_a_list_is_ordered(client, place):
    """As the protocol allows; the newest first unless asked otherwise."""
    for job_id in ("b", "a", "c"):
        client.create_job(parent=place, job=a_job(), job_id=job_id)
    orders = {
        "name": ["a", "b", "c"],
        "name desc": ["c", "b", "a"],
        "create_time": ["b", "a", "c"],
        "create_time desc": ["c", "a", "b"],
        "": ["c", "a", "b"],
    }

    found = {order: ids_of(client, {"parent": place, "order_by": order, "page_size": 2}) for order in orders}

    assert found == orders


def test_a_list_is_filtered(client, place):
    """By the expressions that people use."""
    ran(client, place, a_job("true", labels={"team": "flu"}, priority=5), "good")
    ran(client, place, a_job("false", labels={"team": "covid"}), "bad")
    filters = {
        "status.state=FAILED": ["bad"],
        'status.state = "SUCCEEDED"': ["good"],
        "state!=FAILED AND labels.team=flu": ["good"],
        "labels.team=flu OR labels.team=covid": ["bad", "good"],
        "NOT labels.team=flu": ["bad"],
        "-state=FAILED": ["good"],
        "name=projects/*": ["bad", "good"],
        "labels:team": ["bad", "good"],
        "labels.none:*": [],
        "name:jobs/goo": ["good"],
        "createTime > 2020-01-01T00:00:00Z": ["bad", "good"],
        'create_time < "2020-01-01T00:00:00Z"': [],
        "priority>=5": ["good"],
        "(state=FAILED)": ["bad"],
    }

    found = {text: ids_of(client, {"parent": place, "filter": text, "order_by": "name"}) for text in filters}

    assert found == filters


def test_a_list_of_all_locations_is_whole(client, place):
    """The location '-' stands for all of them."""
    other = place.replace("us-central1", "europe-west1")
    names = [client.create_job(parent=parent, job=a_job()).name for parent in (place, other)]

    everywhere = client.list_jobs(parent=place.replace("us-central1", "-"))

    assert sorted(job.name for job in everywhere) == sorted(names)
    assert [job.name for job in client.list_jobs(parent=place)] == names[:1]


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"order_by": "priority"}, "order_by"),
        ({"filter": "colour=red"}, "filter"),
        ({"filter": "state="}, "filter"),
        ({"filter": "(state=FAILED"}, "filter"),
        ({"filter": "create_time>yesterday"}, "filter"),
        ({"filter": "(" * 1000}, "filter"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"page_token": "Nw=="}, "page_token"),
        ({"page_token": "WyIiXQ=="}, "page_token"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client, place, question, field):
    """By its field."""
    with pytest.raises(exceptions.BadRequest) as caught:
        list(client.list_jobs({"parent": place, **question}))

    assert list(violations(caught.value)) == [field]


def test_a_page_token_is_good_for_its_own_question_only(client, place):
    """Else pages would have gaps that nobody sees."""
    for _ in range(2):
        client.create_job(parent=place, job=a_job())
    token = next(client.list_jobs({"parent": place, "page_size": 1}).pages).next_page_token
    assert token

    with pytest.raises(exceptions.BadRequest) as caught:
        list(client.list_jobs({"parent": place, "page_size": 1, "page_token": token, "filter": "state=FAILED"}))

    assert list(violations(caught.value)) == ["page_token"]


def test_tasks_are_listed_in_order_and_by_state(client, place):
    """Page by page."""
    job = ran(client, place, a_job("exit $((BATCH_TASK_INDEX % 2))", tasks=5))
    parent = f"{job.name}/taskGroups/group0"

    pages = list(client.list_tasks({"parent": parent, "page_size": 2}).pages)
    failed = list(client.list_tasks({"parent": parent, "filter": "State=FAILED", "page_size": 1}))

    assert [[task.name for task in page.tasks] for page in pages] == [
        [f"{parent}/tasks/0", f"{parent}/tasks/1"],
        [f"{parent}/tasks/2", f"{parent}/tasks/3"],
        [f"{parent}/tasks/4"],
    ]
    assert [task.name for task in failed] == [f"{parent}/tasks/1", f"{parent}/tasks/3"]
