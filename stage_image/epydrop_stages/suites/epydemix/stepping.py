"""epydemix's stochastic simulation with identical results at a fraction of its cost.

The algorithm is epydemix's (``stochastic_simulation``): in each time step the people leaving a compartment are a
multinomial draw, with probabilities from competing constant hazards. epydemix draws group by group and compartment by
compartment. Here all draws of a step are one call of ``Generator.multinomial``, which consumes the same random numbers
in the same order, and probabilities that do not depend on the state are computed for all steps at once. The tests
compare both, person by person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from epydemix.model.epimodel import EpiModel
from epydemix.model.transition import Transition
from epydemix.utils.utils import evaluate

from epydrop_stages.contract.results import Floats

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Switched:
    """Random numbers from ``past`` before the time step ``step``, and from ``future`` from that step on."""

    past: np.random.Generator
    future: np.random.Generator
    step: int

    def at(self, step: int) -> np.random.Generator:
        """The generator of this step."""
        return self.past if step < self.step else self.future


Rng = np.random.Generator | Switched


class Stepper:
    """The time steps of one model. In shapes, T: time steps, C: compartments, A: compartments with an exit, N: groups.

    ``contacts``: the contact matrices of each step by layer. ``dt``: length of a step in days.
    """

    def __init__(self, model: EpiModel, contacts: Sequence[Mapping[str, Floats]], dt: float) -> None:
        self._model = model
        self._contacts = contacts
        self._dt = dt
        self._index: Mapping[str, int] = model.compartments_idx
        self._leaving: dict[str, list[Transition]] = {
            name: model.transitions[name] for name in model.compartments if model.transitions[name]
        }
        self._targets = {
            name: sorted({self._index[transition.target] for transition in transitions} - {self._index[name]})
            for name, transitions in self._leaving.items()
        }
        self._sources = np.array([self._index[name] for name in self._leaving])
        self._state_dependent = [
            (place, name)
            for place, (name, transitions) in enumerate(self._leaving.items())
            if any(transition.kind != "spontaneous" for transition in transitions)
        ]

    def run(self, definitions: Mapping[str, Floats], initial: Counts, rng: Rng) -> tuple[Floats, Floats]:
        """Compartments at the end of each step, shape (T, C, N), and transitions during it, shape (T, transitions, N).

        ``definitions``: parameter -> its values by step and group; ``initial``: people, shape (C, N).
        """
        chances = self._known_chances(definitions)
        states = np.empty((len(chances) + 1, *initial.shape), dtype=np.int64)
        moves = np.empty(chances.shape, dtype=np.int64)
        states[0] = initial
        data = self._data(definitions)
        for step, contacts in enumerate(self._contacts):
            state = states[step]
            data.update(t=step, contact_matrix=contacts, pop=state)
            for place, name in self._state_dependent:
                chances[step, place] = self._chances(name, self._rates(name, data))
            leavers = state[self._sources]
            generator = rng.at(step) if isinstance(rng, Switched) else rng
            moves[step] = moved = generator.multinomial(
                leavers, chances[step]
            )  # shape (A, N, C); staying is one outcome
            # Those who stay are drawn too, so everyone who could leave arrives somewhere and is then subtracted.
            states[step + 1] = state + np.add.reduce(moved, axis=0).T
            states[step + 1, self._sources] -= leavers
        return states[1:].astype(float), self._by_transition(moves)  # floats, as epydemix returns

    def _known_chances(self, definitions: Mapping[str, Floats]) -> Floats:
        """Probabilities (T, A, N, C) of going from each compartment to any; 0 where they depend on the state."""
        steps, groups, every = len(self._contacts), len(self._model.population.Nk), len(self._index)
        chances = np.zeros((steps, len(self._leaving), groups, every))
        state_dependent = dict(self._state_dependent)
        for place, (name, transitions) in enumerate(self._leaving.items()):
            if place not in state_dependent:
                rates = np.zeros((steps, groups, every))
                for transition in transitions:
                    rates[..., self._index[transition.target]] += _rate(transition.params, definitions, steps)
                chances[:, place] = self._chances(name, rates)
        return chances

    def _data(self, definitions: Mapping[str, Floats]) -> dict[str, Any]:
        """The arguments of epydemix's rate functions, except those that change from step to step."""
        return {
            "parameters": definitions,
            "comp_indices": self._index,
            "pop_sizes": self._model.population.Nk,
            "dt": self._dt,
            "expression_cache": {},
        }

    def _rates(self, name: str, data: dict[str, Any]) -> Floats:
        """Rates per day of leaving a compartment, by target, shape (N, C)."""
        rates = np.zeros((len(data["pop_sizes"]), len(self._index)))
        data["source"] = name
        for transition in self._leaving[name]:
            function = self._model.transition_functions[transition.kind]
            rates[:, self._index[transition.target]] += function(transition.params, data)
        return rates

    def _chances(self, name: str, rates: Floats) -> Floats:
        """Convert rates (..., N, C) to probabilities within a time step, same shape.

        Competing risks with constant hazards: with total hazard h = sum of rates * dt, someone leaves with probability
        1 - exp(-h), to each target in proportion to its rate. The order of the additions is epydemix's, because
        another order may differ in the last bit and so change a draw.
        """
        hazard = np.zeros(rates.shape[:-1])
        for target in self._targets[name]:
            hazard += rates[..., target] * self._dt
        np.maximum(hazard, 0.0, out=hazard)
        leave = -np.expm1(-hazard)
        scale = np.divide(leave, hazard, out=np.zeros(hazard.shape), where=hazard > 0)
        chances: Floats = rates * self._dt * scale[..., np.newaxis]
        chances[..., self._index[name]] = 1.0 - leave
        return chances

    def _by_transition(self, moves: Counts) -> Floats:
        """Rearrange moves (T, A, N, C) to (T, transitions, N); parallel transitions are counted as one."""
        found = np.zeros((len(moves), len(self._model.transitions_idx), moves.shape[2]))
        for place, (name, transitions) in enumerate(self._leaving.items()):
            for transition in transitions:
                position = self._model.transitions_idx[f"{name}_to_{transition.target}"]
                found[:, position] = moves[:, place, :, self._index[transition.target]]
        return found


def _rate(params: Any, definitions: Mapping[str, Floats], steps: int) -> Any:
    """The rate of a spontaneous transition: a scalar or shape (T, N), from a number, a parameter or an expression.

    A parameter may be given for more steps than are simulated.
    """
    if not isinstance(params, str):
        return params
    rate = definitions[params] if params in definitions else evaluate(params, dict(definitions))
    return rate[:steps] if np.ndim(rate) else rate
