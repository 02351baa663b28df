"""The suite epymodelingsuite, its tasks and what becomes of their results, as far as that needs no package."""

from __future__ import annotations

import csv
import gzip
import io
import logging
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.stats
from epydemix.calibration import ABCSampler, CalibrationResults
from support import small_forecast as small
from support.small_forecast import CONFIG, an_experiment, found_in

from epydrop.errors import BadInput, EpydropError
from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop_stages.contract.results import Observations
from epydrop_stages.contract.suite import RunFacts, TaskKey, TaskLine
from epydrop_stages.suites.epymodelingsuite.compute import NoForecast, _check, seeded
from epydrop_stages.suites.epymodelingsuite.convert import as_result
from epydrop_stages.suites.epymodelingsuite.generator import Generated, files_of
from epydrop_stages.suites.epymodelingsuite.hub_file import HUB_FILE
from epydrop_stages.suites.epymodelingsuite.joined_tables import JoinedTables
from epydrop_stages.suites.epymodelingsuite.package_warnings import PackageWarnings, package_warnings
from epydrop_stages.suites.epymodelingsuite.publish import PackageFiles, SuiteDigest, TaskDigest
from epydrop_stages.suites.epymodelingsuite.tasks import sampling_seed, tasks_of
from epydrop_stages.suites.epymodelingsuite.work import PackageResult

# -- tasks -------------------------------------------------------------------------------------


def an_output(place, kind="calibration"):
    population = SimpleNamespace(name=place)
    simulation = SimpleNamespace(start_date=date(2024, 10, 1)) if kind == "simulation" else None
    return SimpleNamespace(model=SimpleNamespace(population=population), simulation=simulation)


FLUSIGHT_LEVELS = HUB_FORMATS["flusight"].levels
WITHOUT_SAMPLING = SimpleNamespace(sampling=None)


def test_tasks_come_by_location_and_equal_ones_are_chains():
    """Whatever the order of the package's outputs; no two have one seed."""
    outputs = [an_output(place) for place in ("Vermont", "Maine", "Vermont")]
    data = Observations("x", "week", np.array([], "datetime64[D]"), np.array([]), np.array([], bool))

    tasks = list(tasks_of(outputs, WITHOUT_SAMPLING, 7, {"Maine": data}))

    assert [(task.key.location, task.key.chain) for task in tasks] == [("Vermont", 0), ("Vermont", 1), ("Maine", 0)]
    assert len({task.seed for task in tasks}) == 3
    assert [task.work.observed is not None for task in tasks] == [False, False, True]


def test_outputs_of_two_kinds_are_refused():
    """The package cannot publish them together."""
    outputs = [an_output("Maine"), an_output("Vermont", "simulation")]

    with pytest.raises(BadInput, match="simulations and calibrations, but a run has results of one kind"):
        list(tasks_of(outputs, WITHOUT_SAMPLING, 7, {}))


def test_samples_follow_the_experiment_s_seed():
    """The same for every run of it."""
    assert sampling_seed(7) == sampling_seed(7) != sampling_seed(8)


def sampler():
    """A sampler as the package makes it: unseeded, around a function that shares a generator with others."""
    shared = np.random.default_rng()

    def simulate(parameters):
        return {"data": np.array([parameters["x"] + shared.normal()]), "date": ["2024-10-12"]}

    return ABCSampler(simulate, {"x": scipy.stats.uniform(0, 1)}, {}, np.array([0.5]))


def calibrated(seed):
    configs = seeded(SimpleNamespace(seed=None, calibrator=sampler()), seed)
    configs.calibrator.calibrate("rejection", num_particles=5, epsilon=10.0, verbose=False)
    found = configs.calibrator.run_projections({}, iterations=3)
    drawn = [run["data"][0] for run in found.projections["baseline"]]
    return [*found.get_posterior_distribution()["x"], *drawn, np.random.random()]  # noqa: NPY002 - as a repository may


def test_a_seed_decides_everything_that_is_drawn():
    """Proposals, simulations, projections, and what code of the repository draws from the global generator."""
    assert calibrated(7) == calibrated(7)
    assert not set(calibrated(7)) & set(calibrated(8))


def a_calibration(**results):
    return SimpleNamespace(population="Maine", results=CalibrationResults(**results))


WITH_PROJECTION = SimpleNamespace(projection=SimpleNamespace())
POSTERIOR = {0: pd.DataFrame({"x": [1.0, 2.0]})}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (SimpleNamespace(population="Maine", results=None), "the calibration of Maine accepted no particle"),
        (a_calibration(), "the calibration of Maine accepted no particle"),
        (a_calibration(posterior_distributions=POSTERIOR), "projection failed: RUNNER: projection failed: disk full"),
        (a_calibration(posterior_distributions=POSTERIOR, projections={"baseline": [{}, {}]}), "disk full"),
    ],
)
def test_what_the_package_swallows_is_raised(output, words):
    """With the reason that it put into the log."""
    warned = PackageWarnings(["something else", "RUNNER: projection failed: disk full"])

    with pytest.raises(NoForecast, match=words):
        _check(output, WITH_PROJECTION, warned)


def test_projections_of_which_some_failed_are_counted():
    """The others are a forecast."""
    output = a_calibration(posterior_distributions=POSTERIOR, projections={"baseline": [{"a": 1}, {}, {}]})

    assert _check(output, WITH_PROJECTION, PackageWarnings()) == 2


def test_warnings_of_the_package_are_heard():
    """Inside the block, and of its own logger only."""
    logger = logging.getLogger("epymodelingsuite.builders")
    with package_warnings() as warned:
        logger.warning("Simulation failed with parameters %s", {"x": 1})
        logger.info("not a warning")
        logging.getLogger("other").warning("Simulation failed")
    logger.warning("Simulation failed too late")

    assert warned.failures == warned.messages == ["Simulation failed with parameters {'x': 1}"]


# -- results as this project's own -------------------------------------------------------------


def test_dates_before_a_sampled_start_are_left_out():
    """The package fills them with zeros, in which nobody lives."""
    dates = list(pd.date_range("2024-10-05", periods=4, freq="W-SAT"))
    late = {"date": dates, "S_total": np.array([0, 90, 80, 70]), "I_total": np.array([0, 10, 20, 30])}
    early = {"date": dates, "S_total": np.array([95, 90, 85, 80]), "I_total": np.array([5, 10, 15, 20])}
    counted = {"S_to_I_total": np.array([5.0, 1.0, 1.0, 1.0]), "S_0-4": np.zeros(4), "cases": np.arange(4.0)}
    results = CalibrationResults(
        posterior_distributions={0: pd.DataFrame({"x": [1.0]}), 1: pd.DataFrame({"x": [2.0, 3.0]})},
        weights={0: np.array([1.0]), 1: np.array([1.0, 3.0])},
        distances={0: [9.0], 1: [5.0, 4.0]},
        selected_trajectories={1: [{"data": np.array([7.0, 8.0]), "date": dates[:2]}] * 2},
        projections={"baseline": [{**late, **counted}, {}, {**early, **counted}]},
    )
    data = Observations("cases", "week", np.array(dates, "datetime64[D]"), np.arange(4.0), np.ones(4, bool))

    found = as_result(PackageResult("calibration", SimpleNamespace(results=results), 100.0, 1.5, data))

    calibration, projection = found.trajectories
    assert calibration.variables["cases"].tolist() == [[7.0, 8.0]] * 2
    assert projection.dates.astype(str).tolist() == ["2024-10-12", "2024-10-19", "2024-10-26"]
    assert set(projection.variables) == {"S_total", "I_total", "S_to_I_total", "cases"}
    assert projection.variables["I_total"].tolist() == [[10, 20, 30], [10, 15, 20]]
    assert projection.earlier["S_to_I_total"].tolist() == [5.0, 5.0]
    assert (found.posterior.values["x"].tolist(), found.posterior.weights.tolist()) == ([2.0, 3.0], [0.25, 0.75])
    assert (found.population, found.contacts, found.observed) == (100.0, 1.5, data)


# -- tables, figures, findings -----------------------------------------------------------------


def packed(text):
    return gzip.compress(text.encode())


def test_tables_follow_each_other_under_one_header(tmp_path):
    """Compressed or not, and the same bytes whatever the package's gzip header said."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        tables = JoinedTables(tmp_path / folder)
        for rows in ("1,x\n2,y\n", "", "3,z\n"):
            tables.add("a.csv.gz", packed(f"n,name\n{rows}"))
            tables.add("b.csv", f"n,name\n{rows}".encode())
        assert [output.name for output in tables.close()] == ["a.csv.gz", "b.csv"]

    whole = "n,name\n1,x\n2,y\n3,z\n"
    assert gzip.decompress((tmp_path / "one/a.csv.gz").read_bytes()).decode() == whole
    assert (tmp_path / "one/b.csv").read_text() == whole
    assert (tmp_path / "one/a.csv.gz").read_bytes() == (tmp_path / "two/a.csv.gz").read_bytes()
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"a.csv.gz", "b.csv"}


def test_tables_with_other_columns_get_all_of_them(tmp_path):
    """What a result does not have stays empty, as in one call of the package."""
    tables = JoinedTables(tmp_path)
    tables.add("a.csv.gz", packed('n,name\n1,"x, y"\n'))
    tables.add("a.csv.gz", packed("n,size\n2,5\n"))
    tables.add("a.csv.gz", packed("n,name\n3,z\n"))
    tables.close()

    rows = list(csv.reader(io.StringIO(gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).decode())))
    assert rows == [["n", "name", "size"], ["1", "x, y", ""], ["3", "z", ""], ["2", "", "5"]]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv.gz"]


def parquet(**columns):
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_parquet_tables_are_joined_too(tmp_path):
    """As long as their columns agree."""
    tables = JoinedTables(tmp_path)
    tables.add("a.parquet", parquet(n=[1, 2]))
    tables.add("a.parquet", parquet(n=[3]))
    with pytest.raises(EpydropError, match="different columns in different results"):
        tables.add("a.parquet", parquet(m=[3]))
    tables.close()

    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pydict() == {"n": [1, 2, 3]}


def test_what_the_package_returns_is_read_by_its_shape():
    """Bytes under a name, or lists of named objects, of which only files are stored."""
    objects = [SimpleNamespace(name="fan.png", data=b"png"), SimpleNamespace(name="in memory", data=object())]

    assert dict(files_of({"a.csv.gz": b"csv", "plots": objects})) == {"a.csv.gz": b"csv", "fan.png": b"png"}


def digests(kinds=("calibration", "calibration"), files=(), **changes):
    for index, kind in enumerate(kinds):
        line = TaskLine(index, TaskKey(f"Place {index}", {"start_date": "2024-10-01"}, 0), 5)
        made = Generated({"posteriors.csv.gz": packed(f"n\n{index}\n"), "fan.png": b"png", **dict(files)})
        counts = {"failed_simulations": 0, "failed_projections": 0, **changes}
        yield TaskDigest(line, kind, 4, **counts, generated=made)


def published(folder, tmp_path, given, tasks=2, missing=()):
    """The package's part of the outputs: name -> bytes."""
    folder.mkdir()
    package_files = PackageFiles(folder, RunFacts("run", "flu", "", tasks, missing=missing))
    for _ in package_files.collect(SuiteDigest([digest], None) for digest in given):
        pass
    outputs = package_files.close(found_in(tmp_path / "files", CONFIG), an_experiment())
    return {output.name: output.path.read_bytes() for output in outputs}


def test_a_figure_of_each_task_keeps_its_name_and_says_whose_it_is(tmp_path):
    """A single task's figure is called as the package calls it."""
    several = published(tmp_path / "several", tmp_path, digests())
    single = published(tmp_path / "single", tmp_path, list(digests())[:1], tasks=1)

    assert {name for name in several if name.endswith(".png")} == {"fan-Place 0-00000.png", "fan-Place 1-00001.png"}
    assert single["fan.png"] == b"png"


def test_missing_tasks_have_their_rows_in_order(tmp_path):
    """With the reason; what failed inside of the others is counted."""
    lost = TaskLine(2, TaskKey("Place 2", {}, 0), 6)

    found = published(tmp_path / "out", tmp_path, digests(failed_projections=3), 3, [(lost, "timed out")])

    rows = list(csv.DictReader(io.StringIO(gzip.decompress(found["tasks.csv.gz"]).decode())))
    assert [(row["location"], row["state"], row["failed_projections"], row["reason"]) for row in rows] == [
        ("Place 0", "succeeded", "3", ""),
        ("Place 1", "succeeded", "3", ""),
        ("Place 2", "missing", "", "timed out"),
    ]
    assert found["config/basemodel.yaml"].decode() == small.BASEMODEL


def verdicts(**changes):
    (digest,) = digests(["calibration"], **changes)
    return [(finding.check, finding.severity.value) for finding in digest.findings]


def test_what_the_package_does_without_is_a_finding():
    """It would not have told; nothing to tell is a finding, too."""
    assert verdicts() == [("package", "pass")]
    assert verdicts(failed_simulations=1, failed_projections=2) == [("package", "warn")] * 2


def hub_rows(levels):
    rows = [f"25,2025-01-04,0,2025-01-04,wk inc flu hosp,quantile,{level:g},{n}" for n, level in enumerate(levels)]
    head = "location,reference_date,horizon,target_end_date,target,output_type,output_type_id,value"
    return {HUB_FILE: packed("\n".join([head, *rows]) + "\n")}


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        (hub_rows(FLUSIGHT_LEVELS), "pass"),
        (hub_rows([0.02, *FLUSIGHT_LEVELS[2:]]), "fail"),
        (hub_rows(FLUSIGHT_LEVELS[::-1]), "fail"),
        ({HUB_FILE: packed("a,b\n1,2\n")}, "fail"),
    ],
)
def test_the_package_s_hub_file_is_held_to_the_hub_s_rules(files, severity):
    """A file that the hub would refuse marks the run."""
    assert set(verdicts(files=files)) == {("package", "pass"), ("hub", severity)}


def test_results_of_two_kinds_are_refused(tmp_path):
    """Should they ever lie in one run."""
    with pytest.raises(EpydropError, match="results of two kinds, calibration and simulation"):
        published(tmp_path / "out", tmp_path, digests(("calibration", "simulation")))
