"""The entry points: what comes over HTTP becomes the event that is meant, and the answer says whether it is done."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import functions_framework
import pytest
from support.cloud_settings import CLOUD
from support.paths import ROOT, SAMPLES

from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
    Event,
    FileDropped,
    Ignored,
    JobChanged,
    KickDropped,
    OutputRequested,
    Refused,
    RetryRequested,
    StartRequested,
    SweepRequested,
)
from epydrop.core.jobs import JobState
from epydrop.core.run import Changes, Dropped
from epydrop.errors import ConfigurationError, RetryableError
from epydrop.formats.names import JobName, Stage

SOURCE = ROOT / "functions" / "main.py"

RUN_ID = "20261122-110000-0123abcd"
KICK_ID = "13201845712345678"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SENT = datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)
JOB = JobName(Stage.RUNNER, RUN_ID, 2)
GENERATION = 1795383864565479
MD5 = "rL0Y20zC+Fzt72VPzMSk2A=="


def dropped(name: str, md5: str = MD5, created: datetime = NOON) -> Dropped:
    return Dropped("drops", name, GENERATION, created, md5)


EXPECTED: dict[str, Event | type[Ignored]] = {
    "object-finalized-experiment": FileDropped(dropped("experiments/flu/2026w47.yaml"), 812),
    "object-finalized-bundle": FileDropped(dropped("experiments/flu.zip", md5=""), 104857600),
    "object-finalized-kick": KickDropped(dropped("kicks/stop-flu.json"), 41),
    "object-finalized-reply": Ignored,
    "object-finalized-kick-reply": Ignored,
    "object-finalized-gcloud-part": Ignored,
    "object-finalized-gsutil-part": Ignored,
    "object-finalized-empty": Ignored,
    "object-finalized-folder": Ignored,
    "object-finalized-foreign": Ignored,
    "object-finalized-odd-path": Ignored,
    "object-deleted": Ignored,
    "job-state-changed": JobChanged(JOB, JobState.SUCCEEDED),
    "job-state-changed-with-data": JobChanged(JOB, JobState.RUNNING),
    "job-state-changed-unknown-state": JobChanged(JOB, None),
    "job-state-changed-foreign": Ignored,
    "task-state-changed": Ignored,
    "message-without-data": Ignored,
    "message-without-anything": Ignored,
    "kick-cancel": CancelRequested(RUN_ID, KICK_ID, SENT),
    "kick-retry": RetryRequested(RUN_ID, KICK_ID, SENT, None, Changes(memory_mib=16000, spot=False)),
    "kick-output": OutputRequested(RUN_ID, KICK_ID, SENT, {"outputs": {"quantiles": [0.1, 0.5, 0.9]}}),
    "kick-start": StartRequested("drops", "experiments/flu/2026w47.yaml", KICK_ID, SENT),
    "kick-sweep": SweepRequested(SENT),
    "kick-check": CheckRequested(RUN_ID),
    "kick-found": FileDropped(dropped("experiments/flu.yaml", "", NOON.replace(microsecond=123456)), 812),
    "kick-unclear": Refused,
    "kick-two-verbs": Refused,
    "push-from-emulator": CheckRequested(RUN_ID),
}


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """The framework and the functions set up logging for their whole process."""
    ours, root = logging.getLogger("epydrop"), logging.getLogger()
    before = (list(ours.handlers), ours.level, ours.propagate, list(root.handlers), root.level)
    yield
    ours.handlers[:], ours.level, ours.propagate, root.handlers[:], root.level = before


@pytest.fixture(params=["on_object_finalized", "on_job_state_changed", "on_kick"])
def entry_point(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def post(entry_point: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sends a sample to the function as functions-framework serves it."""
    monkeypatch.setenv("EPYDROP_PROJECT", "p")
    client = functions_framework.create_app(entry_point, str(SOURCE)).test_client()

    def send(sample: dict[str, Any], **headers: str) -> Any:
        given = {**sample["headers"], **headers}
        return client.post("/", data=json.dumps(sample["body"]), headers=given)

    return send


@pytest.fixture
def handled(post: Any, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The events that reach the core, instead of being handled."""
    events: list[Event] = []
    main = sys.modules["main"]
    monkeypatch.setattr(main, "reconcile", lambda event, _world: events.append(event))
    monkeypatch.setattr(main, "_make_world", lambda: None)
    return events


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return found


def test_each_sample_has_its_meaning() -> None:
    """And each meaning its sample, with a word about where it comes from."""
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(EXPECTED)
    assert all(sample(name)["about"] for name in EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_becomes_the_event_that_is_meant(name: str, post: Any, handled: list[Event]) -> None:
    """At whichever function it arrives, and it is acknowledged."""
    assert post(sample(name)).status_code == 200

    (event,) = handled
    expected = EXPECTED[name]
    if isinstance(expected, type):
        assert type(event) is expected
    else:
        assert event == expected


def test_what_raises_is_asked_for_again(post: Any, handled: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other answer than an error would acknowledge the event."""

    def fail(_event: Event, _world: object) -> None:
        raise RetryableError("not now")

    monkeypatch.setattr(sys.modules["main"], "reconcile", fail)

    assert post(sample("kick-check")).status_code == 500


def test_a_deployment_that_lacks_settings_says_which(post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, at each event; and the event comes again."""
    for name in CLOUD:
        monkeypatch.delenv(name, raising=False)

    assert post(sample("kick-check")).status_code == 500
    with pytest.raises(ConfigurationError, match=r"EPYDROP_DATA_URL, .*EPYDROP_SIGNING_KEY_SECRET"):
        sys.modules["main"]._world()


def test_the_log_carries_the_event_and_its_trace(
    post: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line of JSON on standard output, where Cloud Logging looks."""
    main = sys.modules["main"]
    main.set_up_logs(as_json=True, stream=sys.stdout)  # the stream of this test
    monkeypatch.setattr(main, "_make_world", lambda: None)

    post(sample("object-finalized-foreign"))

    line, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["severity"] == "INFO"
    assert line["message"] == "ignored: the object 'notes/meeting.yaml' is under neither experiments/ nor kicks/"
    assert line["logging.googleapis.com/trace"] == "projects/p/traces/0af7651916cd43dd8448eb211c80319c"
    assert line["logging.googleapis.com/labels"] == {"event_id": "8732104512345678"}
    assert end["latency_seconds"] > 0


def test_the_world_is_made_once(post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events come at the same time."""
    main = sys.modules["main"]
    made = []
    monkeypatch.setattr(main, "cloud_world", made.append)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _number: main._world(), range(8)))

    assert len(made) == 1
