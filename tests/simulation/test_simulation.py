"""Whole deployments under faults: nothing is lost, nothing hangs, and nothing wrong is called complete."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from epydrop.formats.serialization import from_json, to_json
from epydrop_workstation.replaying import Recording, replay
from simulation.faults import RATES
from simulation.mutants import kicks_as_they_come, orders_before_the_save
from simulation.world import Simulation, quick_reading, simulate

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="module")
def _quickly():
    with quick_reading():
        yield


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_every_demand_is_met_whatever_goes_wrong(first):
    """A few seeds; ``make soak`` tries as many as asked."""
    outcomes = [simulate(seed) for seed in range(first, first + 20)]

    assert {outcome.seed: outcome.violation for outcome in outcomes if outcome.violation} == {}


def test_every_history_is_decided_the_same_again():
    """From what is stored of it: no decision depends on what its entry does not hold."""
    rows = set()
    for seed in range(8):
        simulation = Simulation(seed)
        simulation.run()
        for run_id, stored in simulation.runs.runs.items():
            recording = Recording(stored.run, tuple(simulation.runs.history(run_id)))
            recording = from_json(Recording, to_json(recording), run_id)
            outcome = replay(recording.run, recording.history)
            assert (outcome.differing, outcome.unrecorded, outcome.loose_ends) == (0, 0, ())
            rows |= {replayed.entry.row for replayed in outcome.decisions}

    assert len(rows) > 20


def test_every_kind_of_fault_strikes():
    """A fault that never strikes proves nothing."""
    struck = set()
    for seed in range(2000):
        struck |= set(simulate(seed).faults)
        if struck == set(RATES):
            return

    assert struck == set(RATES)


def test_a_seed_decides_everything():
    """The same seed tells the same story in another process, where hashes of texts differ."""
    script = "from simulation.world import simulate; print(*simulate(7, with_trace=True).trace, sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": "1"}
    output = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, check=True)

    assert output.stdout.decode().splitlines() == simulate(7, with_trace=True).trace


@pytest.mark.parametrize(
    ("mutant", "first", "finding"),
    [
        (orders_before_the_save, 57, "not of runner-artifacts"),
        (kicks_as_they_come, 76, "after the last cancel"),
    ],
)
def test_a_repaired_fault_that_comes_back_is_found(mutant, first, finding):
    """The search begins with a seed that found it, and goes on in case seeds mean something else by now."""
    with mutant():
        found = (str(simulate(seed).violation) for seed in range(first, first + 3000))
        assert next(islice((violation for violation in found if finding in violation), 1), None)
