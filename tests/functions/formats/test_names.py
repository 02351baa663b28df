"""Every format and its parser agree, and nothing else is taken for one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epydrop.formats import names
from epydrop.formats.names import JobName, Stage

CREATED = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
run_ids = st.builds(
    names.run_id_of,
    st.text(),
    st.text(),
    st.integers(0, 2**63),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.text(),
)


@given(run_ids)
def test_a_run_id_is_known_as_one(run_id: str) -> None:
    """YYYYMMDD-HHMMSS-xxxxxxxx."""
    assert names.is_run_id(run_id)


def test_the_same_drop_means_the_same_run_in_every_time_zone() -> None:
    """Run ids are in UTC."""
    elsewhere = CREATED.astimezone(timezone(timedelta(hours=-5)))

    here = names.run_id_of("b", "experiments/flu.yaml", 7, CREATED)

    assert here == names.run_id_of("b", "experiments/flu.yaml", 7, elsewhere)
    assert here.startswith("20261122-233000-")


@pytest.mark.parametrize("other", [("c", "n", 7, ""), ("b", "m", 7, ""), ("b", "n", 8, ""), ("b", "n", 7, "kick")])
def test_another_drop_or_kick_means_another_run(other: tuple[str, str, int, str]) -> None:
    """Bucket, name, generation and kick all count."""
    bucket, name, generation, kick_id = other

    assert names.run_id_of("b", "n", 7, CREATED) != names.run_id_of(bucket, name, generation, CREATED, kick_id)


@given(st.sampled_from(Stage), run_ids, st.integers(1, 99999))
def test_a_job_id_says_whose_job_it_is_and_is_legal(stage: Stage, run_id: str, attempt: int) -> None:
    """Batch takes at most 63 of these characters."""
    job_id = names.job_id(stage, run_id, attempt)

    assert names.parse_job_id(job_id) == JobName(stage, run_id, attempt)
    assert str(JobName(stage, run_id, attempt)) == job_id
    assert len(job_id) <= 63
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", job_id)


@pytest.mark.parametrize(
    "foreign",
    ["", "nightly-backup", "runner-20261122-233000-0123abcd", "runner-20261122-233000-0123abcd-0", "x" * 99],
)
def test_a_foreign_job_is_not_ours(foreign: str) -> None:
    """Other people's jobs run in the same project."""
    assert names.parse_job_id(foreign) is None


@given(st.integers(0, names.MAX_TASKS - 1))
def test_a_result_name_gives_its_index_back(index: int) -> None:
    """In every folder."""
    assert names.parse_result_name(names.result_name("runner-artifacts-2/", index)) == index


@given(st.integers(0, names.MAX_TASKS - 2))
def test_results_sort_by_index(index: int) -> None:
    """So a listing comes in the order of the tasks."""
    assert names.result_name("r/", index) < names.result_name("r/", index + 1)


@pytest.mark.parametrize(
    "name", ["r/manifest.json", "r/input_00001.pkl.zst", "r/result_1.pkl.zst", "r/result_00001.pkl"]
)
def test_other_objects_are_no_results(name: str) -> None:
    """Whatever else lies in the folder is not counted."""
    assert names.parse_result_name(name) is None


@given(st.text())
def test_a_label_is_legal_for_any_text(text: str) -> None:
    """A label never makes a submit fail."""
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", names.label_value(text))


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_texts_never_share_a_label(one: str, other: str) -> None:
    """What does not survive unchanged ends in a digest."""
    assert one == other or names.label_value(one) != names.label_value(other)


@pytest.mark.parametrize(
    ("object_name", "exp_id"),
    [("experiments/flu.yaml", "flu"), ("experiments/us/flu.2026.zip", "us/flu.2026"), ("experiments/a.yml", "a")],
)
def test_the_default_exp_id_is_the_path_without_its_suffix(object_name: str, exp_id: str) -> None:
    """Folders stay part of it."""
    assert names.exp_id_of(object_name) == exp_id
    assert names.is_exp_id(exp_id)


@pytest.mark.parametrize("bad", ["", "/flu", "flu/", "a//b", "../flu", "flu 2026", ".hidden", "x" * 201])
def test_an_exp_id_that_would_make_a_bad_path_is_none(bad: str) -> None:
    """It becomes a folder."""
    assert not names.is_exp_id(bad)


def test_a_reply_lies_beside_the_dropped_file_under_replies() -> None:
    """With the run id in its name, so that a second drop does not hide the first answer."""
    assert names.reply_name("experiments/us/flu.yaml", "RUN", "md") == "replies/us/flu.yaml.RUN.md"
