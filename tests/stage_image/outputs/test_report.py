"""The report of small and of large runs: its sections, sentences, links and figures."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from support.made_up_epidemics import ADMISSIONS, STATES, forecast_run, sweep_run
from support.made_up_runs import RUN_ID

from epydrop.experiment import read_experiment
from epydrop.formats.index_set import IndexSet
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Complete
from epydrop_stages.contract.description import Description
from epydrop_stages.contract.results import Result, Trajectories
from epydrop_stages.contract.suite import Finished, RunFacts, TaskLine
from epydrop_stages.contract.tries import Try
from epydrop_stages.outputs.point_digest import digest_point
from epydrop_stages.outputs.pooled_point import PooledPoint, pooled_point
from epydrop_stages.outputs.publish import publish
from epydrop_stages.outputs.quality.findings import CHECKS
from epydrop_stages.outputs.quality.run_quality import RunQuality
from epydrop_stages.outputs.report.context import ReportContext
from epydrop_stages.outputs.report.figure_files import PageFigures, PointFigure, point_stem, safe_name
from epydrop_stages.outputs.report.figures import style
from epydrop_stages.outputs.report.figures.timeline import without_pauses
from epydrop_stages.outputs.report.page import environment
from epydrop_stages.outputs.report.point_summary import Forecast, Model, PointSummary, outcomes_of
from epydrop_stages.outputs.report.sections import curves

HOSTILE = "<script>alert(1)</script>"
FAILED = {5: ("out_of_memory", "MemoryError", f"could not allocate 2.1 GiB {HOSTILE}"), 6: ("timed_out", "", "")}


@pytest.fixture(scope="module")
def forecast(tmp_path_factory):
    """Three states, one of whose chains disagree, four weeks held back."""
    folder = tmp_path_factory.mktemp("forecast")
    run = forecast_run(folder, STATES[:3], chains=2, scenarios=("as_now", "closed"), simulations=20).write()
    assert run.publish() == 0
    return run


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Fifteen points of one location, two of thirty tasks missing, one of them with a hostile message."""
    run = sweep_run(tmp_path_factory.mktemp("sweep"), points=3, chains=2, simulations=4, missing=FAILED).write()
    assert run.publish() == 0
    return run


class Page(HTMLParser):
    """Headings, anchors, links, tags and labels of a page."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.anchors, self.links, self.labels, self.tags = [], set(), [], [], set()
        self._in_heading = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self._in_heading = tag in {"h1", "h2"}
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if tag == "svg" and values.get("role") == "img":
            self.labels.append(values["aria-label"])

    def handle_data(self, data):
        if self._in_heading and data.strip():
            self.headings.append(data.strip())
            self._in_heading = False


def text_of(run):
    return run.output("report.html").decode()


def words_of(run):
    return words(text_of(run))


def words(page):
    """The text of a page, with single spaces."""
    plain = re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", plain.replace("\u202f", " ").replace("\u00a0", " "))


# -- what it says --------------------------------------------------------------------------------


def test_a_forecast_has_its_sections_and_no_others(forecast):
    """Nothing is missing, nothing was varied."""
    assert Page(text_of(forecast)).headings == [
        "flu/2026w48",
        "Quality",
        "Forecasts",
        "Comparison with held-back observations",
        "Estimates",
        "Outcomes",
        "Tasks: timeline and resources",
        "Provenance",
    ]


def test_a_sweep_has_its_sections_and_no_others(sweep):
    """Nothing was calibrated, something is missing."""
    assert Page(text_of(sweep)).headings == [
        "sweeps/interventions",
        "Missing results",
        "Quality",
        "Curves",
        "Effect of the parameters",
        "Outcomes",
        "Tasks: timeline and resources",
        "Provenance",
    ]


def test_the_verdict_comes_first_with_its_reasons(forecast):
    """With the location that fails."""
    words = words_of(forecast)

    assert "Do not use these results as they are" in words
    assert re.search(r"Independent calibrations disagree: [^.]*Arizona", words)
    assert words.index("Do not use") < words.index("Quality") < words.index("Forecasts")


def test_every_check_that_applies_is_made(forecast):
    """All but that of a modelling package with tables of its own."""
    checks = json.loads(forecast.output("quality.json"))["checks"]

    assert {check["id"] for check in checks} == CHECKS.keys() - {"package"}


def test_missing_results_are_grouped_by_cause(sweep):
    """With the error of one of the tasks, and in the headline."""
    words = words_of(sweep)

    assert "2 of 30 tasks have no result." in words
    assert re.search(r"out of memory 1 5 .* MemoryError: could not allocate 2\.1 GiB .*\(exit code 137", words)
    assert "errors/runner/1/00005-0.json" in words
    assert re.search(r"timed out 1 6 .* no error record was left", words)


def test_forecasts_are_in_the_periods_of_the_data(forecast):
    """Weekly admissions for each scenario, four weeks ahead in numbers."""
    words = words_of(forecast)

    assert "Hospital admissions per week: median and 95 % interval." in words
    assert "2026-12-05 2026-12-12 2026-12-19 2026-12-26" in words
    assert "as now" in words
    assert "closed" in words
    assert "last fitted date" in words


def test_forecasts_that_start_on_different_dates_are_in_their_own_columns(tmp_path):
    """The data of one location may end weeks before those of another."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "fan.inline").write_text("<svg></svg>")
    ends = {"Alabama": "2026-11-14", "Alaska": "2026-11-28"}
    points = [
        PointSummary(index, name, {}, forecasts=[a_forecast(end)], figures=[PointFigure("fan", "fan")])
        for index, (name, end) in enumerate(ends.items())
    ]
    experiment = read_experiment(forecast_run(tmp_path, STATES[:2]).text.encode(), "e.yaml", "e")
    facts = RunFacts(RUN_ID, "flu", "", 2, locations=dict.fromkeys(ends, 1))

    context = ReportContext(experiment, facts, points, RunQuality(), Model(), PageFigures(tmp_path))
    section = curves.section(context)
    text = environment(location_name=context.location_name).get_template(section.template).render(data=section.data)

    days = re.findall(r'<th class="n">(\d{4}-\d\d-\d\d)</th>', text)
    rows = re.findall(r'<tr><td rowspan="1">.*?</tr>', text, re.DOTALL)
    filled = [
        [bool(cell.strip()) for cell in re.findall(r'<td class="n">(.*?)</td>', row, re.DOTALL)[1:]] for row in rows
    ]
    assert days == [f"2026-11-{day}" for day in (21, 28)] + [f"2026-12-{day:02}" for day in (5, 12, 19, 26)]
    assert filled == [[True] * 4 + [False] * 2, [False] * 2 + [True] * 4]


def a_forecast(end):
    """Four weeks after the last fitted week."""
    last = np.datetime64(end)
    return Forecast(
        "", "admissions per week", (last, 80.0), [(last + 7 * week, 90.0, 50.0, 150.0) for week in range(1, 5)]
    )


@pytest.mark.parametrize(
    ("infectious", "words"),
    [
        ([[1, 5, 2], [1, 6, 2]], "<b>2026-01-02</b>"),
        ([[1, 5, 9], [1, 6, 9]], "after 2026-01-03"),
        ([[9, 5, 2], [9, 5, 2], [1, 6, 9]], "or later"),
    ],
)
def test_a_peak_after_the_last_day_has_no_date(infectious, words):
    """If a simulation still grows on its last day, its peak is later."""
    days = np.arange("2026-01-01", "2026-01-04", dtype="datetime64[D]")
    weights = np.full(len(infectious), 1 / len(infectious))
    part = Trajectories("projection", days, {"I_total": np.array(infectious, float)}, weights)
    pool = PooledPoint("here", {}, [(None, Result((part,), 100.0, 1.0))])

    (outcome,) = outcomes_of(pool, [part], Description(infectious=["I_total"]))
    point = PointSummary(0, "here", {}, outcomes=[outcome])
    data = {
        "rows": [(point, outcome)], "count": 1, "more": 0, "fold": False,
        "paths": [], "derived": [], "units": {}, "has_scenarios": False,
    }  # fmt: skip

    assert words in environment(location_name=str).get_template("outcomes.html.j2").render(data=data)


def test_the_page_says_how_to_reproduce_the_run(forecast):
    """Command, seed and versions."""
    words = words_of(forecast)

    assert f"epydrop run {forecast.folder}/dropped/experiment.yaml --set seed=7" in words
    assert "epydemix 1.5.0" in words
    assert "sha256:000" in words


def test_the_page_needs_no_external_resources(forecast, sweep):
    """No scripts; every link leads into the page or to a figure beside it."""
    for run in (forecast, sweep):
        page = Page(text_of(run))
        there = {
            info.name.rsplit("/", 2)[-2] + "/" + info.name.rsplit("/", 1)[-1] for info in run.store.list("outputs/")
        }
        assert not page.tags & {"script", "link", "iframe", "img"}
        assert all(link.startswith("#") or link in there for link in page.links)
        assert {link[1:] for link in page.links if link.startswith("#")} <= page.anchors
        assert not re.search(r"url\(http|@import", text_of(run))


def test_every_figure_has_an_alternative_text(forecast):
    """With its main numbers."""
    labels = Page(text_of(forecast)).labels

    assert all(len(label) > 20 for label in labels if label not in {"failed", "warning", "passed"})
    assert any(
        re.search(r"Alabama, as_now: hospital admissions per week from 2026-08-08 .*95 % interval", x) for x in labels
    )


def test_messages_are_escaped(sweep):
    """An error message that looks like HTML stays text."""
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text_of(sweep)
    assert "script" not in Page(text_of(sweep)).tags


# -- many ------------------------------------------------------------------------------------------


def test_a_large_sweep_shows_some_points_and_says_where_the_others_are(sweep):
    """Six of fifteen are shown."""
    words = words_of(sweep)

    assert "6 of 15 points are shown; the table quantiles has all of them." in words


def test_many_locations_get_a_grid_of_small_panels(tmp_path):
    """Panels link to figures, rows of the table to panels; locations lose their common prefix."""
    run = forecast_run(tmp_path, STATES[:3], chains=1, simulations=10)
    experiment = read_experiment(run.text.encode(), "e.yaml", "e")
    lines = [TaskLine(index, key, index) for index, key in enumerate(run.keys)]
    planned = {line.key.location: 1 for line in lines}
    facts = RunFacts(RUN_ID, "flu", "", 3, locations=planned, drawn=IndexSet.below(3), draws_small=True)
    pooled = [pooled_point([Finished(line, run.compute(line.key, np.random.default_rng(1)))]) for line in lines]
    described = Description(infections=["Susceptible_to_Infected_total"], names={ADMISSIONS: "hospital admissions"})

    digests = [digest_point(point, described, experiment, facts, tmp_path) for point in pooled]
    files = {output.name for output in publish(digests, experiment, facts, tmp_path)}

    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert 'class="grid many"' in text
    assert sum(link.startswith("#point-") for link in page.links) == 3
    assert {f"figures/United_States_{name}.png" for name in STATES[:3]} <= {*page.links} & files
    assert not [name for name in files if "infections" in name or "posterior-" in name]
    assert "United States" not in words(text)
    assert len(text) < 110_000


# -- figures ---------------------------------------------------------------------------------------


def test_every_figure_of_the_page_is_published_as_png_and_svg(forecast):
    """complete.json lists these and no other figures."""
    files = {
        name for name in from_json(Complete, forecast.output("complete.json"), "c").files if name.startswith("figures/")
    }
    linked = {link for link in Page(text_of(forecast)).links if link.startswith("figures/")}

    assert files == linked
    assert {f"figures/United_States_Alaska-closed.{suffix}" for suffix in ("png", "svg")} <= files
    assert "figures/United_States_Alaska-posterior-admission_rate.png" in files


def test_figures_are_valid_and_have_their_size(forecast):
    """The PNG is 6.4 inches wide, with room for the title; the SVG has a text element for each label."""
    image = Image.open(io.BytesIO(forecast.output("figures/United_States_Alaska-as_now.png")))
    image.load()
    root = ET.fromstring(forecast.output("figures/United_States_Alaska-as_now.svg"))

    assert image.size == (round(6.4 * style.DPI), round(3.77 * style.DPI))
    assert not image.info.keys() & {"Software", "Title", "Creation Time"}
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"hospital admissions per week", "United States Alaska, as_now", "held back"} <= texts


@pytest.mark.parametrize(
    ("text", "name"),
    [("United_States_New_York", "United_States_New_York"), ("São Paulo", "Sao-Paulo-ea1b8c"), ("../../x", "x-a3b2c1")],
)
def test_file_names_are_safe(text, name):
    """Letters, digits, dots, dashes and underscores; a changed name gets a digest."""
    found = safe_name(text)

    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", found)
    assert found.rsplit("-", 1)[0] == name.rsplit("-", 1)[0]
    assert (found == text) == (name == text)


def test_different_names_give_different_files():
    """Also two points of one location."""
    assert safe_name("a b") != safe_name("a/b") != safe_name("a-b")
    assert point_stem("x", {"rate": 1}, 0) != point_stem("x", {"rate": 2}, 4)
    assert len(safe_name("x" * 500)) < 100


# -- the timeline ----------------------------------------------------------------------------------


def a_try(started, wall=10.0, index=0):
    return Try("runner", 1, index, started, wall, wall, 100.0)


def test_long_pauses_are_shortened_in_the_timeline():
    """With their true length as a label."""
    tries = [a_try(1000.0), a_try(1005.0), a_try(50_000.0)]

    moved, pauses = without_pauses(tries)

    assert [each.started for each in moved] == pytest.approx([0.0, 5.0, 16.0])
    assert [(pause.place, pause.length) for pause in pauses] == [(15.0, 50_000.0 - 1015.0)]


def test_short_pauses_are_not_shortened():
    """Such as the half second between two tasks."""
    starts = np.arange(0.0, 400.0, 10.5)

    moved, pauses = without_pauses([a_try(7.0 + start) for start in starts])

    assert [each.started for each in moved] == pytest.approx(starts.tolist())
    assert pauses == []
