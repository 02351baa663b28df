"""States by all their names."""

from __future__ import annotations

import pytest

from epydrop_stages.inputs.us_locations import US_LOCATIONS, us_location


def test_there_are_the_states_the_district_puerto_rico_and_the_whole():
    """Each once, and no name stands for two of them."""
    names = [name for one in US_LOCATIONS for name in set(one.names())]

    assert len(US_LOCATIONS) == 53
    assert len(names) == len(set(names))
    assert sum(one.people for one in US_LOCATIONS if one.postal not in {"US", "PR"}) == 340_110_988


@pytest.mark.parametrize("name", ["United_States_New_York", "US-NY", "NY", "36", "New York"])
def test_any_name_leads_to_the_state(name):
    """As files and epydemix-data have them."""
    assert us_location(name).fips == "36"


@pytest.mark.parametrize(
    ("name", "fips"), [("United_States", "US"), ("US", "US"), ("Puerto_Rico", "72"), ("1", "01"), ("Georgia", None)]
)
def test_some_names_are_special(name, fips):
    """Georgia alone is the country; a spreadsheet takes the zero from Alabama."""
    found = us_location(name)

    assert (found and found.fips) == fips
