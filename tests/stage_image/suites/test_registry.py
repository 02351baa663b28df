"""Suites are found by their names, in one place, and keep what they promise."""

from __future__ import annotations

import inspect
import re

import pytest

from epydrop.errors import BadInput
from epydrop.experiment import read_experiment
from epydrop_stages.contract.suite import Suite
from epydrop_stages.suites.registry import SUITES, suite_named

FUNCTIONS = {name: method for name, method in vars(Suite).items() if inspect.isfunction(method) and name[0] != "_"}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_has_all_that_the_stages_call(name):
    """With the arguments that they pass, and a word on whether it needs files."""
    suite = suite_named(name)

    assert isinstance(suite.NEEDS_FILES, bool)
    for function, method in FUNCTIONS.items():
        _, *expected = inspect.signature(method).parameters
        assert list(inspect.signature(getattr(suite, function)).parameters) == expected


def test_an_experiment_may_name_exactly_the_suites_that_there_are():
    """The functions check the name without having any suite."""
    with pytest.raises(BadInput) as caught:
        read_experiment(b"exp_id: x\nsuite: sorcery\n", "x.yaml", "x")

    expected, _, _ = caught.value.problems[0].message.partition(", got")
    assert set(re.findall(r"'(\w+)'", expected)) == set(SUITES)


def test_an_unknown_suite_is_refused():
    """With those that there are."""
    with pytest.raises(BadInput, match="there is no suite 'sorcery' here; known are epydemix, epymodelingsuite"):
        suite_named("sorcery")
