"""The fast steps are those of epydemix, and can be replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from epydemix.model.epimodel import simulate
from epydemix.population.population import Population

from epydrop_stages.suites.epydemix.model import Work, prepare
from epydrop_stages.suites.epydemix.stepping import Switched

PARAMETERS = {"transmission_rate": 0.3, "recovery_rate": 0.2}
CUSTOM = {
    "type": "custom",
    "compartments": ["S", "V", "E", "I", "D", "R"],
    "transitions": [
        {"source": "S", "target": "V", "kind": "scheduled", "schedule": "doses.csv", "eligible": ["S", "R"]},
        {"source": "S", "target": "E", "kind": "mediated", "params": ["transmission_rate", "I"]},
        {"source": "S", "target": "E", "kind": "spontaneous", "params": "10 ** importation"},  # into the same one
        {"source": "V", "target": "E", "kind": "mediated", "params": ["0.5 * transmission_rate", "I"]},
        {"source": "E", "target": "I", "kind": "spontaneous", "params": 0.4},
        {"source": "I", "target": "R", "kind": "spontaneous", "params": "recovery_rate * (1 - deaths)"},
        {"source": "I", "target": "D", "kind": "spontaneous", "params": "recovery_rate * deaths"},
    ],
}
DOSES = "date,0-49,50+\n2026-01-05,300,200\n2026-01-09,0,900\n"


def setting(folder: Path, model, dt=1.0, end="2026-02-10", **parameters):
    (folder / "doses.csv").write_text(DOSES)
    config = {
        "model": model,
        "parameters": {**PARAMETERS, **parameters},
        "simulation": {"start_date": "2026-01-01", "end_date": end, "dt": dt},
        "interventions": [{"layer": "all", "start_date": "2026-01-10", "end_date": "2026-01-20", "reduction": 0.4}],
        "overrides": [
            {"parameter": "recovery_rate", "start_date": "2026-01-15", "end_date": "2026-01-31", "value": 0.5}
        ],
    }
    population = Population("two groups")
    population.add_population([20_000, 9000], ["0-49", "50+"])
    population.add_contact_matrix(np.array([[2.0, 0.4], [0.9, 1.1]]), layer_name="all")
    return prepare(Work(config, population, {}), folder)


PREDEFINED = [
    {"type": "SIR"},
    {"type": "SIS"},
    {"type": "SEIR", "outcome": "hospitalization", "vaccination": True, "waning_immunity": True},
    {"type": "SEIAR", "outcome": "deaths"},
]
ALL = [
    *((model, {}, dt) for model in PREDEFINED for dt in (1.0, 0.5)),
    (CUSTOM, {"importation": -4.0, "deaths": 0.05}, 1.0),
    ({"type": "SEIR"}, {"incubation_rate": [0.1, 0.3] * 60, "transmission_rate": [[0.4, 0.2]]}, 1.0),
]


@pytest.mark.parametrize(("model", "parameters", "dt"), ALL)
def test_each_step_is_that_of_epydemix(tmp_path, model, parameters, dt):
    """Same seed, same people, in every compartment and transition of every group."""
    one = setting(tmp_path, model, dt, **parameters)

    for seed in range(3):
        found = one.simulator()({}, np.random.default_rng(seed))

        rng = np.random.default_rng(seed)
        expected = simulate(one.model, one.start, one.end, one.initial, dt=dt, rng=rng, resample_frequency=None)
        ends = slice(round(1 / dt) - 1, None, round(1 / dt))
        for name, values in expected.compartments.items():
            by_day = values[ends] if dt < 1 else values
            assert np.array_equal(found.compartments[name][: len(by_day)], by_day), name
        for name, values in expected.transitions.items():
            assert found.transitions[name].sum() == values.sum(), name
        assert sum(values.sum() for values in expected.transitions.values()) > 0


def test_a_past_can_be_replayed_and_then_left(tmp_path):
    """The same people up to the step, others from it on."""
    model = {"type": "SEIR"}
    short, long = setting(tmp_path, model, end="2026-01-20"), setting(tmp_path, model, end="2026-02-10")

    first = short.simulator()({}, np.random.default_rng(1))
    futures = [
        long.simulator()({}, Switched(np.random.default_rng(1), np.random.default_rng(seed), len(short.dates)))
        for seed in (2, 3)
    ]

    days = len(first.dates)
    for name, values in first.transitions.items():
        assert all(np.array_equal(values, future.transitions[name][:days]) for future in futures)
    one, other = (future.transitions["Susceptible_to_Exposed_total"][days:] for future in futures)
    assert not np.array_equal(one, other)


def test_nobody_leaves_at_a_rate_of_nothing(tmp_path):
    """And nobody is lost."""
    found = setting(tmp_path, {"type": "SIR"}, transmission_rate=0.0, recovery_rate=0.0).simulator()(
        {}, np.random.default_rng(0)
    )

    assert found.transitions["Susceptible_to_Infected_total"].sum() == 0
    total = sum(found.compartments[f"{name}_total"] for name in ("Susceptible", "Infected", "Recovered"))
    assert set(total) == {29_000.0}
