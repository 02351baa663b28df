"""What people read beside the file that they dropped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.cloud_settings import CLOUD
from support.factories import RUN_ID, SIZE, a_failure, a_plan, a_run, an_attempt, seen

from epydrop.core.causes import Cause
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.gcp.console import signposts
from epydrop.service.replies import by_folder, reply_json, reply_markdown, serial_of, suggested_retry
from epydrop.settings import read_cloud_settings

SETTINGS = read_cloud_settings(CLOUD)


def in_the_cloud(run: Run) -> str:
    run = replace(run, run_url=f"gs://data/epydrop/flu/{RUN_ID}/")
    return reply_markdown(run, signposts(SETTINGS, run)).decode()


def on_one_machine(run: Run) -> str:
    return reply_markdown(run, by_folder(run)).decode()


def test_an_accepted_experiment_is_told_its_run_its_size_and_where_to_look() -> None:
    """All that a person wants to know who goes home now."""
    run = a_run(reason="the file was dropped and is valid", plan=a_plan(expected_tasks=240))

    reply = in_the_cloud(run)

    assert reply.startswith(f"# flu: accepted\n\nRun `{RUN_ID}`: the file was dropped and is valid.")
    assert "About 240 tasks, at most 100 at a time, with 2 vCPU and 4000 MiB each." in reply
    browser = f"https://console.cloud.google.com/storage/browser/data/epydrop/flu/{RUN_ID}?project=p"
    assert f"- Files: {browser}" in reply
    assert f"/firestore/databases/epydrop/data/panel/runs/{RUN_ID}?project=p" in reply
    assert "- Jobs: https://console.cloud.google.com/batch/jobs?project=p" in reply
    cancel = f"""gcloud pubsub topics publish epydrop-kicks --project=p --message='{{"cancel": "{RUN_ID}"}}'"""
    assert cancel in reply


def test_an_experiment_whose_size_only_the_builder_knows_says_so() -> None:
    """Rather than guess."""
    assert "The builder will say" in in_the_cloud(a_run())


def test_a_rejected_experiment_is_told_every_problem() -> None:
    """With its line; and that nothing was spent."""
    problems = ("flu.yaml:3:1: 'modle' is not a key of an experiment", "flu.yaml:9:5: expected a number")

    reply = in_the_cloud(a_run(Phase.REJECTED, reason="the file has 2 problem(s)", problems=problems))

    assert [line for line in reply.splitlines() if line.startswith("- flu.yaml")] == [f"- {one}" for one in problems]
    assert "Fix the file and drop it again." in reply
    assert "gcloud" not in reply


def test_a_finished_experiment_is_told_where_its_report_is() -> None:
    """As a link that a browser opens."""
    reply = in_the_cloud(a_run(Phase.SUCCEEDED, published="outputs/20261122-113000/"))

    folder = f"data/epydrop/flu/{RUN_ID}/outputs/20261122-113000"
    assert f"- Report: https://storage.cloud.google.com/{folder}/report.html\n" in reply
    assert f"- Outputs: https://console.cloud.google.com/storage/browser/{folder}?project=p\n" in reply
    assert "To let it go on" not in reply


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        ("pass", "Quality: every check passed."),
        ("warn", "Quality: usable with reservations"),
        ("fail", "Quality: **checks failed; do not use these results as they are.**"),
        ("", "outputs are complete"),
    ],
)
def test_a_finished_experiment_is_told_how_far_to_trust_it(quality: str, words: str) -> None:
    """For people in words, for programs as the verdict; a suite without checks has none."""
    run = a_run(Phase.SUCCEEDED, reason="the outputs are complete", published="outputs/1/", quality=quality)

    assert words in in_the_cloud(run)
    assert ("Quality" in in_the_cloud(run)) == bool(quality)
    assert json.loads(reply_json(run, signposts(SETTINGS, run)))["quality"] == (quality or None)


def test_an_experiment_with_gaps_is_told_how_to_fill_them() -> None:
    """What is missing may still be computed."""
    run = a_run(Phase.SUCCEEDED, published="outputs/20261122-113000/", missing=IndexSet.of([2]))

    assert f'{{"retry": "{RUN_ID}"}}' in in_the_cloud(run)


@pytest.mark.parametrize(
    ("cause", "changes", "options"),
    [
        (Cause.OUT_OF_MEMORY, {"memory_mib": 8000}, " --memory-mib 8000"),
        (Cause.TIMED_OUT, {"max_run_duration": 7200}, " --max-run-duration 7200"),
        (Cause.CODE, {}, ""),
    ],
)
def test_a_failed_experiment_is_told_the_causes_and_what_may_help(
    cause: Cause, changes: dict[str, int], options: str
) -> None:
    """The command as it must be typed, in the cloud and on one machine."""
    failure = a_failure(cause=cause)
    run = a_run(Phase.FAILED, seen(an_attempt(Stage.RUNNER, resources=SIZE)), failures=(failure,), cause=cause)

    assert suggested_retry(run) == {"retry": RUN_ID, **changes}
    assert f"- {failure}" in in_the_cloud(run)
    assert f"--message='{json.dumps({'retry': RUN_ID, **changes})}'" in in_the_cloud(run)
    assert f"    epydrop retry {RUN_ID}{options}\n" in on_one_machine(run)


def test_both_forms_tell_how_new_they_are() -> None:
    """So that neither is written over a newer one."""
    run = a_run(serial=12)

    assert serial_of(reply_json(run, by_folder(run))) == 12
    assert serial_of(reply_markdown(run, by_folder(run))) == 12
    assert serial_of(b"somebody's own notes") == 0


def test_the_default_database_has_a_name_of_its_own_in_the_console() -> None:
    """Parentheses do not go into its address."""
    settings = replace(SETTINGS, database="(default)")

    assert "/databases/-default-/" in signposts(settings, a_run()).links["State"]
