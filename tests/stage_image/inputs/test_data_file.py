"""Observations from a CSV file: what is taken, and what is refused, by row and by its place in the experiment."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.weekly import WEEKS, csv_of, run_of, weekly

from epydrop.errors import BadInput
from epydrop.experiment.sections import Data
from epydrop.formats.names import Stage
from epydrop_stages.inputs.series import read_observations

WINDOW = {"start_date": "2026-01-04", "end_date": "2026-01-31"}


def data(**changes) -> Data:
    return Data.model_validate_json(json.dumps({"file": "c.csv", "fitting_window": WINDOW, **changes}))


def read(folder, text, populations=("MA",), **changes):
    (folder / "c.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_observations(data(**changes), populations, "Infected_to_Hospitalized_total", folder)


def problems(folder, text, populations=("MA",), **changes) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read(folder, text, populations, **changes)
    return [problem.message for problem in caught.value.problems]


def changed(day, value):
    return csv_of({**WEEKS, day: value})


# -- what is taken -----------------------------------------------------------------------------


def test_values_after_the_window_are_held_back_and_those_before_are_ignored(tmp_path):
    """Rows may stand in any order, and what is not yet reported may stand there empty."""
    rows = csv_of({"2026-02-28": "", "2026-01-03": "nonsense", **dict(reversed(WEEKS.items()))})

    found = read(tmp_path, rows)["MA"]

    assert [str(day) for day in found.dates] == list(WEEKS)
    assert found.values.tolist() == list(WEEKS.values())
    assert found.fitted.tolist() == [True] * 4 + [False] * 3


@pytest.mark.parametrize("called", ["United_States_Massachusetts", "US-MA", "MA", "25", "Massachusetts", "anything"])
def test_a_state_is_found_by_any_of_its_names(tmp_path, called):
    """In the file as in the experiment; data.names decides where there is one."""
    names = {"United_States_Massachusetts": "anything"} if called == "anything" else {}

    found = read(tmp_path, csv_of(location=called), ["United_States_Massachusetts"], names=names)

    assert found["United_States_Massachusetts"].values.sum() == sum(WEEKS.values())


def test_a_file_without_locations_is_for_the_only_population(tmp_path):
    """As many files are."""
    text = "day;n\n".replace(";", ",") + "".join(f"{day},{value}.0\n" for day, value in WEEKS.items())

    found = read(tmp_path, text, ["Narnia"], location_column=None, date_column="day", value_column="n")

    assert np.array_equal(found["Narnia"].values, list(WEEKS.values()))


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"PK\x03\x04\xff\xfe", "data: file: 'c.csv' is not a CSV file: it is not UTF-8 text"),
        ('date,location,value\n"2026', "data: file: 'c.csv' is not a CSV file: unexpected end of data"),
        ("", "data: file: 'c.csv' is empty"),
        ("date,location,value\n2026-01-10,MA\n", "data: file: c.csv, row 2 has 2 of 3 columns"),
        ("date,location,value\n2026-01-10,MA,1,160\n", "data: file: c.csv, row 2 has 4 of 3 columns"),
        ("date,loc,value\n", "data: location_column: 'c.csv' has no column 'location'"),
        ("date,date,location,value\n", "data: date_column: the column 'date' occurs more than once in 'c.csv'"),
        (
            changed("2026-01-17", -5),
            "data: file: c.csv, row 3: expected a number of people, 0, 1, 2 and so on, got '-5'",
        ),
        (
            changed("2026-02-07", -5),
            "data: file: c.csv, row 6: expected a number of people, 0, 1, 2 and so on, got '-5'",
        ),
        (changed("2026-01-17", "12a"), "data: file: c.csv, row 3: expected a number of people, 0, 1, 2 and so on, got"),
        (changed("2026-01-17", 12.5), "data: file: c.csv, row 3: expected a number of people, 0, 1, 2 and so on, got"),
        (changed("2026-01-17", "inf"), "data: file: c.csv, row 3: expected a number of people, 0, 1, 2 and so on, got"),
        (changed("2026-01-17", "NaN"), "data: file: c.csv, row 3: there is no value on 2026-01-17, which is in the"),
        (changed("01/17/2026", 5), "data: file: c.csv, row 9: expected a date such as 2026-11-28, got '01/17/2026'"),
        (csv_of() + "2026-01-17,MA,7\n", "data: file: c.csv, row 9: 2026-01-17 is in row 3 already"),
        (
            changed("2026-02-26", 5),
            "data: file: c.csv, row 9: 2026-02-26 is not a whole number of weeks after 2026-01-10",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_row(tmp_path, text, expected):
    """One problem each."""
    (found,) = problems(tmp_path, text)

    assert found.startswith(expected)


def test_columns_are_guessed_and_semicolons_noticed(tmp_path):
    """What people most often get wrong."""
    with pytest.raises(BadInput) as caught:
        read(tmp_path, "dates,location,value\n")
    assert caught.value.problems[0].hint == "did you mean 'dates'?"

    with pytest.raises(BadInput) as caught:
        read(tmp_path, "date;location;value\n")
    assert [problem.hint for problem in caught.value.problems] == [
        "its columns are separated by semicolons; save it with commas"
    ] * 3


def test_all_missing_locations_are_named_at_once(tmp_path):
    """And what the file has instead."""
    (found,) = problems(tmp_path, csv_of(), ["MA", "Narnia", "Gondor"])

    assert found == "data: location_column: there is no row of Narnia, Gondor in c.csv, whose locations are MA"


def test_a_location_with_two_names_in_the_file_is_not_guessed(tmp_path):
    """It would be one of them in silence."""
    both = csv_of() + csv_of(location="25").partition("\n")[2]

    (found,) = problems(tmp_path, both, ["United_States_Massachusetts"])

    assert found == "data: file: United_States_Massachusetts may be 'MA' and '25' in c.csv"


def test_locations_with_the_same_gap_share_one_problem(tmp_path):
    """A file that ends too early lacks them in all 52."""
    weeks = {day: value for day, value in WEEKS.items() if day not in {"2026-01-17", "2026-01-31"}}
    text = csv_of(weeks) + csv_of(weeks, "NY").partition("\n")[2] + csv_of(location="GA").partition("\n")[2]

    (found,) = problems(tmp_path, text, ["MA", "NY", "GA"])

    assert found == "data: fitting_window: c.csv has no observation of MA, NY on 2026-01-17, 2026-01-31"


def test_a_window_outside_the_data_is_refused(tmp_path):
    """With the dates that there are."""
    window = {"start_date": "2027-01-03", "end_date": "2027-01-31"}

    (found,) = problems(tmp_path, csv_of(), fitting_window=window)

    expected = "no observation of MA from 2027-01-03 to 2027-01-31; its dates go from 2026-01-10 to 2026-02-21"
    assert found == f"data: fitting_window: c.csv has {expected}"


def test_daily_data_have_no_gap_of_a_day(tmp_path):
    """The step is a day."""
    days = {f"2026-01-{day:02}": day for day in range(4, 32) if day != 20}

    (found,) = problems(tmp_path, csv_of(days), period="day")

    assert found.endswith("no observation of MA on 2026-01-20")


def test_at_most_twenty_bad_rows_are_listed(tmp_path):
    """After that it is the file that needs attention."""
    days = {f"2026-01-{day:02}": "x" for day in range(4, 32)}

    found = problems(tmp_path, csv_of(days), period="day")

    assert len(found) == 21
    assert found[-1] == "and 8 more problems like these"


# -- in the builder ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "text", "expected", "place"),
    [
        (weekly(), csv_of({**WEEKS, "2026-01-17": -1}), "cases.csv, row 3: expected a number of people", '"file"'),
        (weekly(data__value_column="count"), csv_of(), "'cases.csv' has no column 'count'", '"value_column"'),
        (
            weekly(model__simulation__start_date="2026-01-05"),
            csv_of(),
            "simulation.start_date 2026-01-05 is too late for the first observation, which counts 2026-01-04",
            '"start_date"',
        ),
        (
            weekly(model__calibration__distance="wmape"),
            csv_of(dict.fromkeys(WEEKS, 0)),
            "calibration.distance 'wmape' is undefined if all observations are 0; use 'rmse', as in population",
            '"distance"',
        ),
        (weekly(model__simulation__dt=2), csv_of(), "simulation.dt 2 is longer than a day", '"dt"'),
        (
            weekly(model__calibration__target_variable="Infected_to_Hospitalised_total"),
            csv_of(),
            "calibration.target_variable 'Infected_to_Hospitalised_total' is not among",
            '"target_variable"',
        ),
        (
            weekly(scenarios={"closed": {"interventions": [{"layer": "all", "from": "2026-02-01"}]}}),
            csv_of(),
            "scenarios: closed: interventions[0]: unknown key 'from'",
            '"from"',
        ),
        (
            weekly(scenarios={"s": {"overrides": [dict.fromkeys(("start_date", "end_date"), "2026-02-01")]}}),
            csv_of(),
            "scenarios: s: overrides[0]: value is missing",
            "{",  # the entry itself
        ),
    ],
)
def test_the_builder_names_the_line(tmp_path, document, text, expected, place):
    """Line and column of the key that a problem speaks of."""
    run = run_of(tmp_path, document, text)

    assert run.build() == 65

    problem = next(line for line in run.error(Stage.BUILDER).message.splitlines() if expected in line)
    line = int(problem.split(":")[1])
    source = (tmp_path / "source" / "weekly.yaml").read_text().splitlines()
    assert place in source[line - 1]


def test_a_file_that_is_not_in_the_bundle_is_missed(tmp_path):
    """It is told with what to do about it."""
    with pytest.raises(BadInput, match=r"there is no file 'c\.csv'"):
        read_observations(data(), ["MA"], "x", tmp_path)
