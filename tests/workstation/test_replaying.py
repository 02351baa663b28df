"""The decisions of a run, made again: the same by the same table, and named where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.scene import Scene

from epydrop.core import decide as decide_module
from epydrop.core.conditions import Conditions
from epydrop.core.events import CancelRequested, OutputRequested
from epydrop.core.run import HistoryEntry, Run
from epydrop.core.table import TABLE
from epydrop.core.transitions import Transition
from epydrop.formats.serialization import UnknownFormat, from_json, to_json
from epydrop_workstation.replaying import Difference, Recording, Replay, replay


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def recorded(here: Scene, codes: dict[int, int | None] | None = None) -> tuple[Run, list[HistoryEntry]]:
    """A run by the real service that failed in the runner, with its history."""
    here.reconcile(here.drop())
    here.end_job(tasks=4)
    here.end_job(codes or {0: 1, 2: 1, 3: 50005})
    return here.run(), list(here.runs.history(here.run().run_id))


def rows_of(outcome: Replay) -> list[str]:
    return [replayed.entry.row for replayed in outcome.decisions]


def without_row(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Today's table lacks this row."""
    monkeypatch.setattr(decide_module, "TABLE", tuple(row for row in TABLE if row.name != name))


# -- the same ------------------------------------------------------------------------------------


def test_a_run_of_the_service_is_decided_the_same_again(here: Scene) -> None:
    """Every change of the run is a decision of its history."""
    run, history = recorded(here)

    outcome = replay(run, history)

    assert rows_of(outcome)[0] == "drop-valid"
    assert {"built", "failed"} <= set(rows_of(outcome))
    assert (len(outcome.decisions), outcome.differing, outcome.unrecorded, outcome.loose_ends) == (run.serial, 0, 0, ())


def test_a_recording_is_enough(here: Scene) -> None:
    """The text of the file, and nothing else."""
    run, history = recorded(here)
    text = to_json(Recording(run, tuple(history)))

    recording = from_json(Recording, text, "bug.json")

    assert replay(recording.run, recording.history) == replay(run, history)


def test_a_run_that_goes_on_while_it_is_read_is_replayed_as_far_as_it_was_read(here: Scene) -> None:
    """The history is read after the run, and may be longer."""
    here.reconcile(here.drop())
    run = here.run()
    here.end_job(tasks=4)

    outcome = replay(run, here.runs.history(run.run_id))

    assert (len(outcome.decisions), outcome.loose_ends) == (run.serial, ())


# -- what differs --------------------------------------------------------------------------------


def test_a_changed_table_is_named_where_it_decides_otherwise(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row, and each value that the run would have now; the decisions after it are not drawn in."""
    run, history = recorded(here)
    without_row(monkeypatch, "built")

    outcome = replay(run, history)

    (found,) = [replayed for replayed in outcome.decisions if replayed.differences]
    said = {difference.what: (difference.then, difference.now) for difference in found.differences}
    assert said["row"] == ("built", "failed")
    assert said["effects"] == ((f"submit:runner-{run.run_id}-1",), ("reply:failed/1", "publish:failed/1"))
    assert said["run.phase"] == ("runner", "failed")
    assert said["run.tasks"] == (4, None)
    assert "run.reason" not in said


def test_a_change_of_one_value_is_named_by_its_place(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that does almost the same."""

    def otherwise(it: Conditions) -> Transition:
        step = built.then(it)
        *earlier, attempt = step.run.attempts
        attempt = replace(attempt, orders=replace(attempt.orders, parallelism=7))
        return replace(step, run=replace(step.run, attempts=(*earlier, attempt)))

    run, history = recorded(here)
    built = next(row for row in TABLE if row.name == "built")
    table = tuple(replace(built, then=otherwise) if row is built else row for row in TABLE)
    monkeypatch.setattr(decide_module, "TABLE", table)

    outcome = replay(run, history)

    found = [replayed.differences for replayed in outcome.decisions if replayed.differences]
    assert found == [(Difference("run.attempts[1].orders.parallelism", 100, 7),)]


def test_a_decision_that_is_none_any_more_is_a_difference(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Today there would be nothing to save."""
    recorded(here)
    here.reconcile(CancelRequested(here.run().run_id, "kick-1", here.clock))
    table = tuple(replace(row, records_kick=False) if row.name == "ended" else row for row in TABLE)
    monkeypatch.setattr(decide_module, "TABLE", table)

    outcome = replay(here.run(), here.runs.history(here.run().run_id))

    found = [replayed.differences for replayed in outcome.decisions if replayed.differences]
    assert found == [(Difference("run", "changed", "not changed"),)]


def test_a_decision_that_fails_now_is_a_difference_with_the_error(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that raised it; the other decisions are replayed."""

    def fail(it: Conditions) -> bool:
        raise ZeroDivisionError("no tasks")

    run, history = recorded(here)
    broken = tuple(replace(row, when=fail) if row.name == "built" else row for row in TABLE)
    monkeypatch.setattr(decide_module, "TABLE", broken)

    outcome = replay(run, history)

    found = [difference for replayed in outcome.decisions for difference in replayed.differences]
    assert outcome.differing < len(outcome.decisions)
    assert all("ZeroDivisionError('no tasks') (test_replaying.py:" in str(difference.now) for difference in found)


def test_a_run_that_is_not_what_its_history_leads_to_is_named(here: Scene) -> None:
    """Somebody changed the document."""
    run, history = recorded(here)

    outcome = replay(replace(run, tasks=5), history)

    assert outcome.differing == 0
    assert outcome.loose_ends == (Difference("run.tasks", 4, 5),)


# -- what was not recorded -----------------------------------------------------------------------


def test_entries_of_an_earlier_version_are_not_recorded(here: Scene) -> None:
    """They have neither of the keys; nothing is guessed, not even of the run at the end."""
    run, history = recorded(here)
    earlier = [replace(entry, is_cut=None, changes=None) for entry in history]

    outcome = replay(replace(run, tasks=5), earlier)

    assert (outcome.unrecorded, outcome.differing, outcome.loose_ends) == (len(history), 0, ())
    assert "did not keep enough" in outcome.decisions[0].unrecorded


def test_a_decision_whose_facts_were_cut_is_not_repeated_and_those_after_it_are(here: Scene) -> None:
    """What changed was kept."""
    run, history = recorded(here)
    history[3] = replace(history[3], is_cut=True)

    outcome = replay(run, history)

    assert [bool(replayed.unrecorded) for replayed in outcome.decisions] == [entry.serial == 4 for entry in history]
    assert "facts were too long" in outcome.decisions[3].unrecorded
    assert outcome.loose_ends == ()


@pytest.mark.parametrize(("lost", "why"), [("changes", "entry 4 does not say how"), ("entry", "entry 4 is not there")])
def test_after_a_gap_nothing_is_guessed(here: Scene, lost: str, why: str) -> None:
    """The run before the next decisions is not known."""
    run, history = recorded(here)
    history[3:4] = [replace(history[3], changes=None)] if lost == "changes" else []

    outcome = replay(run, history)

    assert [replayed.entry.serial for replayed in outcome.decisions if not replayed.unrecorded] == [1, 2, 3]
    assert why in outcome.decisions[-1].unrecorded


def test_a_damaged_history_is_refused(here: Scene) -> None:
    """By the entry."""
    run, history = recorded(here)
    history[2] = replace(history[2], event={"kind": "Comet"})

    with pytest.raises(UnknownFormat, match="entry 3"):
        replay(run, history)


def test_kicks_with_configurations_are_replayed(here: Scene) -> None:
    """What a person sent is not ours to choose."""
    here.reconcile(here.drop())
    here.end_job(tasks=4)
    here.end_job()
    here.end_job()
    odd = {"outputs": {"quantiles": []}, "": [[1, [2]], []], "__name__": {"a.b": None}}
    here.reconcile(OutputRequested(here.run().run_id, "kick-1", here.clock, odd))

    outcome = replay(here.run(), here.runs.history(here.run().run_id))

    assert "output-invalid" in rows_of(outcome)
    assert (outcome.differing, outcome.unrecorded, outcome.loose_ends) == (0, 0, ())
