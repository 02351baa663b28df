"""What an entry of a history keeps reads back as it was, and an entry stays small."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from support.decisions import CHECK, MANIFEST, decided, runner
from support.factories import NOW, RUN_ID, a_failure, a_plan, a_run, an_attempt, facts_of, seen

from epydrop.core.causes import Cause
from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
    FileDropped,
    JobChanged,
    OutputRequested,
    RetryRequested,
    RunEvent,
)
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.observed_facts import Facts, Offer
from epydrop.core.phases import Phase
from epydrop.core.run import Changes, Dropped, HistoryEntry, Run
from epydrop.errors import Problem
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, parse_job_id
from epydrop.formats.serialization import UnknownFormat, from_json, to_json
from epydrop.gcp.run_document import entry_fields
from epydrop.service.history import SPANS, event_of, history_entry, run_after
from epydrop.service.history import facts_of as kept_facts_of

DROPPED = Dropped("trigger", "experiments/flu.yaml", 7, NOW, "md5", "kick-0")
EVENTS: list[RunEvent] = [
    FileDropped(DROPPED, 12),
    JobChanged(parse_job_id(f"runner-{RUN_ID}-2"), JobState.FAILED),
    CheckRequested(RUN_ID),
    CancelRequested(RUN_ID, "kick-1", NOW),
    RetryRequested(RUN_ID, "kick-2", NOW + timedelta(microseconds=1), Stage.RUNNER, Changes(memory_mib=9000)),
    OutputRequested(RUN_ID, "kick-3", NOW, {"outputs": {"quantiles": [0.5], "trajectories": None}}),
]
FACTS = [
    Facts(),
    Facts(offer=Offer("flu", "file:///flu/", a_plan(required=("here",)), (Problem("bad", "f", 1, 2, "h", ("a", 0)),))),
    facts_of(runner(), JobState.SUCCEEDED, missing=IndexSet()),
    facts_of(
        runner(),
        JobState.FAILED,
        counts=TaskCounts(succeeded=1, failed=3),
        missing=IndexSet.of([0, 2, 3]),
        causes={Cause.VM_LOST: IndexSet.of([0]), Cause.CODE: IndexSet.of([2, 3])},
        failures=(a_failure(),),
    ),
    facts_of(a_run(), JobState.SUCCEEDED, manifest=MANIFEST),
    facts_of(a_run(Phase.OUTPUT), JobState.FAILED, refused=IndexSet(), damage="half a file", quality="warn"),
    Facts(performed=frozenset({"submit:x", "reply:y"}), refusal="no such machine", complete=True),
]


def entry_of(run: Run, event: RunEvent, facts: Facts) -> HistoryEntry:
    """The entry as it is stored and read."""
    entry = history_entry(run, decided(run, facts, event), event, facts)
    return from_json(HistoryEntry, to_json(entry), "it")


def test_there_is_an_example_of_each_kind_of_event() -> None:
    """Of each that may change a run."""
    assert {type(event) for event in EVENTS} == set(get_args(RunEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_reads_back_as_it_was(event: RunEvent) -> None:
    """With its times to the microsecond."""
    assert event_of(entry_of(a_run(), event, Facts())) == event


@pytest.mark.parametrize("facts", FACTS)
def test_facts_read_back_as_they_were(facts: Facts) -> None:
    """Nothing missing is another fact than that nobody looked."""
    entry = entry_of(a_run(), CHECK, facts)

    assert entry.is_cut is False
    assert kept_facts_of(entry) == facts


def test_the_changes_lead_from_one_run_to_the_next() -> None:
    """From none to the first, too."""
    before = runner()
    entry = entry_of(before, CHECK, facts_of(before, counts=TaskCounts(running=2, pending=2)))
    first = history_entry(None, decided(before, facts_of(before)), CHECK, Facts())

    after = run_after(before, entry)

    assert after == decided(before, facts_of(before, counts=TaskCounts(running=2, pending=2))).run
    assert run_after(None, first) == decided(before, facts_of(before)).run


def test_what_this_version_cannot_read_is_refused_with_its_entry() -> None:
    """Damaged, or of a newer version."""
    entry = entry_of(a_run(), CHECK, Facts())

    with pytest.raises(UnknownFormat, match=r"entry 8 .* 'Comet'"):
        event_of(replace(entry, event={"kind": "Comet"}))
    with pytest.raises(UnknownFormat, match="event of entry 8"):
        event_of(replace(entry, event={"kind": "FileDropped"}))
    with pytest.raises(UnknownFormat, match="facts of entry 8"):
        kept_facts_of(replace(entry, facts={"missing": "x"}))
    with pytest.raises(UnknownFormat, match=r"entry 8 .* does not follow"):
        run_after(None, entry)


# -- size ----------------------------------------------------------------------------------------


def every_other_failed(tasks: int) -> tuple[Run, Facts]:
    """A run whose even tasks were preempted or ran out of memory in turn: the longest sets of indices there can be."""
    missing = IndexSet.of(range(0, tasks, 2))
    causes = {Cause.PREEMPTED: IndexSet.of(range(0, tasks, 4)), Cause.OUT_OF_MEMORY: IndexSet.of(range(2, tasks, 4))}
    everything: dict[str, Any] = {"indices": IndexSet.below(tasks)}
    run = runner(seen(an_attempt(Stage.RUNNER, **everything)), tasks=tasks, missing=IndexSet.below(tasks))
    return run, facts_of(run, JobState.FAILED, missing=missing, causes=causes)


def test_ten_thousand_tasks_that_fail_here_and_there_are_kept_whole() -> None:
    """In the 1 MiB of a document, with a wide margin."""
    run, facts = every_other_failed(10_000)

    entry = entry_of(run, CHECK, facts)

    assert (entry.row, entry.is_cut) == ("rerun-missing", False)
    assert kept_facts_of(entry) == facts
    assert run_after(run, entry) == decided(run, facts).run
    assert len(to_json(entry)) < 300_000
    assert len(entry_fields(entry, RUN_ID)["record"]) < 50_000


def test_an_entry_of_more_tasks_is_cut_and_says_so() -> None:
    """It stays small, however many there are."""
    run, facts = every_other_failed(100_000)

    entry = entry_of(run, CHECK, facts)

    assert (entry.is_cut, entry.changes) == (True, None)
    assert entry.facts["missing_count"] == 50_000
    assert len(kept_facts_of(entry).causes[Cause.PREEMPTED]) == SPANS
    assert len(to_json(entry)) < 5000


def test_many_locations_and_problems_are_cut_too() -> None:
    """A manifest names each location, and a record of an error may have many problems."""
    many = {f"location {index:06}": (index, index + 1) for index in range(20_000)}
    problems = tuple(Problem(f"problem {index}") for index in range(20_000))
    facts = facts_of(a_run(), manifest=replace(MANIFEST, locations=many), problems=problems)

    entry = entry_of(a_run(), CHECK, facts)

    assert entry.is_cut
    assert len(to_json(entry)) < 5000
