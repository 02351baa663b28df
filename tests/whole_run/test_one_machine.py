"""A whole experiment on one machine, undisturbed and disturbed: the same tables come out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.one_machine import CALIBRATION, SWEEP, Command, slow, tables, until

from batch_emulator.engine.faults import DeliveryFaults
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.formats.names import Stage, error_name, input_name
from epydrop_workstation.local.local_cloud import Machine
from epydrop_workstation.local.wiring import local_machine
from epydrop_workstation.packing import pack


@pytest.fixture
def epydrop(tmp_path: Path) -> Command:
    """The command in a folder of its own."""
    return Command(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command in the folder of the run that nothing disturbs."""
    return Command(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def first(whole: Command) -> dict:
    """What the command says of this run."""
    return whole.run(whole.file(SWEEP))


@pytest.fixture(scope="module")
def undisturbed(first: dict) -> dict[str, str]:
    """The digests of the tables when nothing goes wrong."""
    return tables(first["outputs"])


def test_an_experiment_runs_from_file_to_report(whole: Command, first: dict) -> None:
    """All that the README promises is there, and its digests are right."""
    found, folder, outputs = first, Path(first["folder"]), Path(first["outputs"])
    complete = json.loads((outputs / "complete.json").read_text())
    assert (found["phase"], found["tasks"], found["done"], found["missing"]) == ("succeeded", 4, 4, "")
    assert {"report.html", "quality.json", "quantiles.csv.gz", "trajectories.parquet"} <= set(complete["files"])
    assert found["quality"] == complete["quality"] == "pass"
    assert "Quality: every check passed" in whole("show", first["run_id"])
    for name, digest in complete["files"].items():
        assert hashlib.sha256((outputs / name).read_bytes()).hexdigest() == digest
    assert json.loads((folder / "outputs" / "latest.json").read_text())["folder"] == f"outputs/{outputs.name}/"
    assert json.loads((folder / "run_metadata.json").read_text())["seed"] == 7
    assert list(whole.root.glob("trigger/replies/experiment.yaml.*.md"))


def test_data_files_come_along_and_posteriors_come_out(epydrop: Command) -> None:
    """The command packs the experiment and its data into a bundle."""
    epydrop.file(
        "date,cases\n" + "\n".join(f"2026-01-{day:02},{10 + 3 * day}" for day in range(1, 13)), "data/cases.csv"
    )

    found = epydrop.run(epydrop.file(CALIBRATION))

    assert (Path(found["outputs"]) / "posteriors.parquet").exists()
    assert (Path(found["folder"]) / "inputs" / "data" / "cases.csv").exists()


def test_tables_do_not_depend_on_how_many_tasks_run_at_once(epydrop: Command, undisturbed: dict) -> None:
    """One at a time gives the same bytes as two."""
    found = epydrop.run(epydrop.file(SWEEP), "--parallelism", 1)

    assert tables(found["outputs"]) == undisturbed


def when(machine: Machine, run_id: str, is_time: Callable[[Run], bool]) -> Run:
    """Works on the run until it is time; returns the run as it is then."""

    def is_done() -> bool:
        stored = machine.runs.load(run_id)
        return stored is not None and is_time(stored.run)

    machine.work_on(run_id, is_done)
    stored = machine.runs.load(run_id)
    assert stored is not None
    return stored.run


def at_the_end(machine: Machine, run_id: str) -> Run:
    """Works on the run until it is settled."""
    return when(machine, run_id, lambda run: not run.unsettled)


def test_events_that_repeat_lag_and_overtake_each_other_change_nothing(epydrop: Command, undisturbed: dict) -> None:
    """Nor do lost events: the periodic checks find what they would have reported."""
    faults = DeliveryFaults(seed=1, repeat=0.4, delay=0.4, reorder=True, drop=0.2)
    name, data = pack(epydrop.folder / epydrop.file(SWEEP))
    with local_machine(epydrop.root, faults=faults) as machine:
        run_id = machine.drop(name, data)
        while machine.runs.load(run_id) is None:  # the one event that no check of a run makes up for
            run_id = machine.drop(name, data)
            machine.work_on(run_id, lambda: machine.queue.next_due() is None)

        run = at_the_end(machine, run_id)

    assert run.phase is Phase.SUCCEEDED
    assert tables(Path(run.run_url.removeprefix("file://")) / run.outputs) == undisturbed


def test_a_run_succeeds_although_a_task_hangs_in_its_first_try(epydrop: Command, undisturbed: dict) -> None:
    """It is found out, recorded and queued again: the run makes no second attempt, and its tables are the same."""
    name, data = pack(epydrop.folder / epydrop.file(SWEEP + "run: {max_silence: 1}\n"))
    with local_machine(epydrop.root) as machine:
        run_id = machine.drop(name, data)
        run = when(machine, run_id, lambda run: run.phase is Phase.RUNNER)
        folder = Path(run.run_url.removeprefix("file://"))
        input_of_2 = folder / input_name(run.inputs, 2)
        kept = input_of_2.rename(input_of_2.with_suffix(".kept"))
        os.mkfifo(input_of_2)  # to open it takes for ever, like a file of a network drive that is gone
        machine.work_on(run_id, has(folder, "errors/runner/1/*"))
        kept.rename(input_of_2)

        run = at_the_end(machine, run_id)

    record = json.loads((folder / error_name(Stage.RUNNER, 1, 2, retry=0)).read_text())
    assert record["type"] == "NoProgress"
    assert (run.phase, len(run.attempts)) == (Phase.SUCCEEDED, 3)
    assert tables(folder / run.outputs) == undisturbed


def has(root: Path, pattern: str) -> Callable[[], bool]:
    """Whether a file matches."""
    return lambda: any(root.glob(pattern))


# A kill before the run exists, and one in the middle of each stage and between the stages.
KILLED_AT = (
    ".epydrop/state.sqlite",
    "runs/*/*/orders/builder-1.json",
    "runs/*/*/builder-artifacts/input_00001.pkl.zst",
    ".epydrop/logs/runner-*/*.log",
    "runs/*/*/runner-artifacts/result_*",
    "runs/*/*/orders/output-1.json",
    "runs/*/*/outputs/*/quantiles.parquet",
)


def test_a_run_that_is_killed_again_and_again_goes_on_where_it_was(epydrop: Command, undisturbed: dict) -> None:
    """No process is left, no finished result is computed again, and the tables are the same."""
    file = epydrop.file(SWEEP)
    results: dict[Path, int] = {}
    for pattern in KILLED_AT:
        epydrop.killed_when(has(epydrop.root, pattern), "run", file)
        until(lambda: not epydrop.alive())
        assert results.items() <= epydrop.results().items()
        results = epydrop.results()

    found = epydrop.run(file)

    assert found["phase"] == "succeeded"
    assert tables(found["outputs"]) == undisturbed
    assert results.items() <= epydrop.results().items()
    assert list(epydrop.root.glob("runs/sweep/*")) == [Path(found["folder"])]
    until(lambda: not epydrop.alive())


def test_a_file_starts_a_run_of_its_own_after_a_finished_one_or_with_new(whole: Command, first: dict) -> None:
    """An unfinished run would go on without ``--new``."""
    file = whole.file(SWEEP)
    before = set(whole.root.glob("runs/sweep/*"))
    whole.killed_when(
        lambda: (
            set(whole.root.glob("runs/sweep/*/builder-artifacts/manifest.json"))
            > {folder / "builder-artifacts" / "manifest.json" for folder in before}
        ),
        "run",
        file,
    )
    unfinished = set(whole.root.glob("runs/sweep/*")) - before
    until(lambda: not whole.alive())

    found = whole.run(file, "--new")

    assert len(unfinished) == 1
    assert Path(found["folder"]) not in before | unfinished
    assert found["phase"] == "succeeded"


def test_a_corrupted_result_is_made_again_and_no_other(epydrop: Command, undisturbed: dict) -> None:
    """The output stage refuses it, and the runner overwrites it."""
    file = epydrop.file(SWEEP)
    epydrop.killed_when(has(epydrop.root, "runs/*/*/orders/output-1.json"), "run", file)
    until(lambda: not epydrop.alive())
    results = epydrop.results()
    bad = next(path for path in results if path.name == "result_00002.pkl.zst")
    bad.write_bytes(bad.read_bytes()[:-100])

    found = epydrop.run(file)

    changed = [path.name for path, written in epydrop.results().items() if results[path] != written]
    assert list(Path(found["folder"]).glob("errors/output/*/refused.json"))
    assert changed == ["result_00002.pkl.zst"]
    assert tables(found["outputs"]) == undisturbed


# Memory is sampled, so that the task must live for a while; one task shows what four would.
GREEDY = (
    slow(simulations=300)
    .replace("[0.3, 0.4, 0.5, 0.6]", "[0.3]")
    .replace("tasks:", "run: {max_attempts: 2, stages: {runner: {memory_mib: 1, max_memory_mib: 2}}}\ntasks:")
)
# The limit is many times what the three short tasks need, and a fraction of what the long one needs.
ONE_HANGS = (
    SWEEP.replace("parameters.transmission_rate: [0.3, 0.4, 0.5, 0.6]", "simulation.n_simulations: [5, 6, 7, 1500]")
    + "run: {min_success: 0.75, stages: {runner: {max_run_duration: 4}}}\n"
)


def test_tasks_that_eat_too_much_memory_get_more_and_then_fail_by_that_name(epydrop: Command) -> None:
    """A retry with enough memory goes on."""
    found = epydrop.run(epydrop.file(GREEDY), code=1)

    assert "out_of_memory" in found["reason"]
    assert len(json.loads(epydrop("show", "latest", "--json"))["attempts"]) == 3  # builder, runner, runner with more
    epydrop("retry", "latest", "--memory-mib", 2000)


def test_a_task_that_hangs_is_a_gap_in_the_outputs_and_a_retry_computes_it_alone(epydrop: Command) -> None:
    """Exit code 3; log, report and metadata name the missing task and why; finished results stay as they are."""
    found = epydrop.run(epydrop.file(ONE_HANGS), code=3)

    metadata = json.loads((Path(found["folder"]) / "run_metadata.json").read_text())
    assert (found["phase"], found["missing"], metadata["missing"]) == ("succeeded", "3", "3")
    assert found["failures"] == ["1 x timed_out (for example task 3)"]
    assert "timed out" in Path(found["report"]).read_text()
    until(lambda: not epydrop.alive())
    results = epydrop.results()
    assert len(results) == 3

    epydrop("retry", found["run_id"], "--max-run-duration", 600)

    assert results.items() <= epydrop.results().items()
    assert len(epydrop.results()) == 4
