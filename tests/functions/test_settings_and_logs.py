"""What a deployment is told, and what it tells."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from support.cloud_settings import CLOUD, VARIABLES

from epydrop.errors import ConfigurationError, Problem
from epydrop.formats.stage_records import fingerprint_of, traceback_of
from epydrop.logs import log_context, log_latency, measured, set_up_logs, trace_of
from epydrop.settings import Settings, read_cloud_settings, read_settings


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("epydrop")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def test_settings_come_from_the_mapping_that_is_handed_in() -> None:
    """Nothing is read from anywhere else."""
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)

    assert read_settings(VARIABLES) == Settings("gs://data/epydrop/", "drops", "production", "sha256:0", moment)


def test_all_missing_settings_are_named_at_once() -> None:
    """All are reported together, to be fixed together."""
    with pytest.raises(ConfigurationError, match="EPYDROP_DATA_URL, EPYDROP_ENVIRONMENT"):
        read_settings({**VARIABLES, "EPYDROP_DATA_URL": "", "EPYDROP_ENVIRONMENT": ""})


def test_a_data_url_without_its_slash_is_refused() -> None:
    """The runs would land beside the folder."""
    with pytest.raises(ConfigurationError, match="ends in '/'"):
        read_settings({**VARIABLES, "EPYDROP_DATA_URL": "gs://data/epydrop"})


def test_the_cloud_needs_more_and_two_settings_may_be_left_out() -> None:
    """No token is configured, and Batch is Google's own."""
    settings = read_cloud_settings(CLOUD)

    assert (settings.project, settings.database) == ("p", "epydrop")
    assert (settings.github_pat_secret, settings.batch_endpoint) == ("", "")


@pytest.mark.parametrize("name", sorted(CLOUD))
def test_each_setting_of_the_cloud_is_needed(name: str) -> None:
    """Identities have no defaults."""
    with pytest.raises(ConfigurationError, match=name):
        read_cloud_settings({**CLOUD, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EPYDROP_DATA_URL", "file:///data/"),
        ("EPYDROP_DATA_URL", "gs://data/epydrop"),
        ("EPYDROP_IMAGE", "latest"),
        ("EPYDROP_IMAGE_REPOSITORY", "host/p/r/stage@sha256:0"),
        ("EPYDROP_KICK_TOPIC", "epydrop-kicks"),
        ("EPYDROP_SIGNING_KEY_SECRET", "epydrop-signing-key"),
        ("EPYDROP_GITHUB_PAT_SECRET", "ghp_a_token_itself"),
        ("EPYDROP_ACCEPT_FROM", "yesterday"),
        ("EPYDROP_ACCEPT_FROM", "2026-11-22T12:00:00"),
    ],
)
def test_a_malformed_setting_is_named_with_what_was_expected(name: str, value: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(ConfigurationError, match=f"{name} is .*, expected"):
        read_cloud_settings({**CLOUD, name: value})


def test_a_token_in_the_place_of_its_name_is_not_shown() -> None:
    """The message ends in a log."""
    with pytest.raises(ConfigurationError) as caught:
        read_cloud_settings({**CLOUD, "EPYDROP_GITHUB_PAT_SECRET": "ghp_a_token_itself"})

    assert "ghp" not in str(caught.value)


def test_structured_logs_carry_severity_message_and_the_run() -> None:
    """One line of JSON each, as Cloud Logging reads it."""
    stream = io.StringIO()
    set_up_logs(as_json=True, stream=stream)

    with log_context(run_id="R"), log_context(stage="runner"):
        logging.getLogger("epydrop.test").warning("no %s", "beds")
    logging.getLogger("epydrop.test").info("later")

    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["severity"], first["message"]) == ("WARNING", "no beds")
    assert first["logging.googleapis.com/labels"] == {"run_id": "R", "stage": "runner"}
    assert second["logging.googleapis.com/labels"] == {}


def test_values_that_are_measured_are_fields_of_the_record() -> None:
    """Where metrics find them."""
    stream = io.StringIO()
    set_up_logs(as_json=True, stream=stream)

    logging.getLogger("epydrop.test").info("checked", extra=measured(open_hours=1.5))

    assert json.loads(stream.getvalue())["open_hours"] == 1.5


@pytest.mark.parametrize("sent", ["2026-11-22T12:00:00Z", datetime(2026, 11, 22, 12, tzinfo=UTC)])
def test_the_time_that_an_event_took_is_measured(sent: object) -> None:
    """From its sending to the end of what followed from it."""
    stream = io.StringIO()
    set_up_logs(as_json=True, stream=stream)

    log_latency(sent)

    assert json.loads(stream.getvalue())["latency_seconds"] > 0


@pytest.mark.parametrize("sent", [None, "yesterday", "2026-11-22T12:00:00"])
def test_an_event_without_a_time_is_not_measured(sent: object) -> None:
    """It is handled all the same."""
    stream = io.StringIO()
    set_up_logs(as_json=True, stream=stream)

    log_latency(sent)

    assert stream.getvalue() == ""


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        ((f"00-{TRACE}-00f067aa0ba902b7-01", ""), "00f067aa0ba902b7"),
        (("", f"{TRACE}/67667974448284343;o=1"), "00f067aa0ba902b7"),
        (("", TRACE), None),
    ],
)
def test_a_request_can_be_followed_through_the_logs(headers: tuple[str, str], span: str | None) -> None:
    """Where Google's tracing gave it an identity."""
    stream = io.StringIO()
    set_up_logs(as_json=True, stream=stream)

    with log_context(event_id="7", **trace_of(*headers, "p")):
        logging.getLogger("epydrop.test").info("seen")

    line = json.loads(stream.getvalue())
    assert line["logging.googleapis.com/trace"] == f"projects/p/traces/{TRACE}"
    assert line.get("logging.googleapis.com/spanId") == span
    assert line["logging.googleapis.com/labels"] == {"event_id": "7"}


@pytest.mark.parametrize("header", ["", "nonsense", "00-short-00f067aa0ba902b7-01"])
def test_a_trace_that_is_none_is_left_out(header: str) -> None:
    """Anybody may send a header."""
    assert trace_of(header, header, "p") == {}


def test_a_traceback_stays_in_the_record_of_its_error() -> None:
    """One entry, not one for each line."""
    stream = io.StringIO()
    set_up_logs(as_json=True, stream=stream)

    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("epydrop").exception("it failed")

    (line,) = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["message"]


def test_a_problem_reads_like_a_compiler_s() -> None:
    """So that editors can jump to it."""
    assert str(Problem("what is wrong", "flu.yaml", 3, 7, "do this")) == "flu.yaml:3:7: what is wrong (do this)"
    assert str(Problem("what is wrong")) == "what is wrong"


def fail(value: object) -> BaseException:
    try:
        raise KeyError(f"no row {value} of 52")
    except KeyError as error:
        return error


def test_the_same_mistake_has_the_same_fingerprint() -> None:
    """Whatever numbers a task puts into its message."""
    assert fingerprint_of(fail(3)) == fingerprint_of(fail(17))
    assert fingerprint_of(fail("x")) != fingerprint_of(fail(17))


def test_a_very_long_traceback_is_cut_in_the_middle() -> None:
    """Both ends tell most."""
    text = traceback_of(fail("x" * 100_000))

    assert len(text) < 21_000
    assert text.startswith("Traceback")
    assert "characters left out" in text
    assert text.rstrip().endswith("of 52'")
