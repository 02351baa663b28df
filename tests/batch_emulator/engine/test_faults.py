"""Faults as they are written, and what they do to tries and messages."""

from __future__ import annotations

import pytest

from batch_emulator.engine.faults import (
    DeliveryFaults,
    Faults,
    FaultyDelivery,
    InvalidFault,
    TaskFaults,
    parse_faults,
)
from batch_emulator.engine.jobs import JobState


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, Faults()),
        ({"preempt": "3"}, Faults(exits={50001: {3: 1}})),
        ({"lose-vm": "0-2x2"}, Faults(exits={50002: {0: 2, 1: 2, 2: 2}})),
        ({"exit-137": "0_5-6"}, Faults(exits={137: {0: 1, 5: 1, 6: 1}})),
        ({"hold": "queued"}, Faults(hold=(JobState.QUEUED, None))),
        ({"hold": "scheduled-5m"}, Faults(hold=(JobState.SCHEDULED, 300.0))),
        ({"drop": "50", "repeat": "100"}, Faults(drop=0.5, repeat=1.0)),
        ({"delay": "250ms", "seed": "4"}, Faults(delay=0.25, seed=4)),
        ({"jobs": "runner-"}, Faults(jobs="runner-")),
    ],
)
def test_faults_are_parsed(words, expected):
    """Every value is a legal label value, too."""
    assert parse_faults(words) == expected


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("fire", "1"),
        ("preempt", ""),
        ("preempt", "all"),
        ("preempt", "3x"),
        ("preempt", "0-100000"),
        ("exit-0", "1"),
        ("hold", "running"),
        ("hold", "queued-soon"),
        ("drop", "101"),
        ("drop", "0.5"),
        ("delay", "5"),
        ("seed", "x"),
    ],
)
def test_an_invalid_fault_is_refused(word, value):
    """With what was expected."""
    with pytest.raises(InvalidFault) as caught:
        parse_faults({word: value})

    assert caught.value.word == word
    assert "expected" in str(caught.value) or "at most" in str(caught.value)


def test_the_labels_of_a_job_override_the_faults_of_the_server():
    """Those of the server apply only to the jobs that they are limited to."""
    server = parse_faults({"drop": "50", "seed": "3", "jobs": "runner-"})
    own = {"mischief-delay": "1s", "team": "flu"}

    assert server.of_job("runner-1", own) == Faults(drop=0.5, delay=1.0, seed=3, jobs="runner-")
    assert server.of_job("builder-1", own) == Faults(delay=1.0, seed=3)


def test_a_task_goes_through_its_faults_one_after_the_other():
    """In the order of the exit codes, each in as many tries as wanted, at a moment fixed by the seed."""
    faults = TaskFaults({50002: {0: 1}, 50001: {0: 2, 1: 1}}, seed=7, within=0.5)

    kills = [faults.kill_of("job-1", 0, retry) for retry in range(4)]

    assert [kill and kill[1] for kill in kills] == [50001, 50001, 50002, None]
    assert len({kill[0] for kill in kills[:3]}) == 3
    assert all(0 <= kill[0] <= 0.5 for kill in kills[:3])
    assert kills[0] == TaskFaults({50001: {0: 1}}, seed=7).kill_of("job-1", 0, 0)
    assert faults.kill_of("job-1", 1, 1) is None


def delays(faults, count=200):
    delivery = FaultyDelivery(faults)
    return [delivery.delays() for _ in range(count)]


def test_messages_are_lost_repeated_and_delayed_as_often_as_wanted():
    """Within what chance allows."""
    assert delays(DeliveryFaults()) == [[0.0]] * 200
    assert delays(DeliveryFaults(drop=1.0)) == [[]] * 200
    assert 60 < delays(DeliveryFaults(drop=0.5)).count([]) < 140
    assert delays(DeliveryFaults(repeat=1.0)) == [[0.0, 0.0]] * 200
    found = [delay for copies in delays(DeliveryFaults(delay=2.0)) for delay in copies]
    assert 0 <= min(found) < 0.5
    assert 1.5 < max(found) <= 2.0


def test_the_same_seed_and_job_have_the_same_faults():
    """Others have others: a failure can be reproduced."""
    faults = parse_faults({"drop": "50", "delay": "1s", "seed": "2"})

    assert delays(faults.of_delivery("job-1")) == delays(faults.of_delivery("job-1"))
    assert delays(faults.of_delivery("job-1")) != delays(faults.of_delivery("job-2"))
    other = parse_faults({"seed": "3"}, faults)
    assert delays(faults.of_delivery("job-1")) != delays(other.of_delivery("job-1"))
