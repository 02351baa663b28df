"""What a deployment is told, and what it tells."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from epydrop.errors import Problem, WiredWrongly
from epydrop.logs import log_context, set_up_logs
from epydrop.records import fingerprint_of, traceback_of
from epydrop.settings import Settings, read_settings

VARIABLES = {
    "EPYDROP_DATA_URL": "gs://data/epydrop/",
    "EPYDROP_TRIGGER_BUCKET": "drops",
    "EPYDROP_ENVIRONMENT": "production",
    "EPYDROP_IMAGE": "sha256:0",
}


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("epydrop")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def test_settings_come_from_the_mapping_that_is_handed_in() -> None:
    """Nothing is read from anywhere else."""
    assert read_settings(VARIABLES) == Settings("gs://data/epydrop/", "drops", "production", "sha256:0")


def test_all_missing_settings_are_named_at_once() -> None:
    """One round trip to mend them all."""
    with pytest.raises(WiredWrongly, match="EPYDROP_DATA_URL, EPYDROP_ENVIRONMENT"):
        read_settings({**VARIABLES, "EPYDROP_DATA_URL": "", "EPYDROP_ENVIRONMENT": ""})


def test_a_data_url_without_its_slash_is_refused() -> None:
    """The runs would land beside the folder."""
    with pytest.raises(WiredWrongly, match="ends in '/'"):
        read_settings({**VARIABLES, "EPYDROP_DATA_URL": "gs://data/epydrop"})


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
