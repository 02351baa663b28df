"""A whole experiment on one machine, undisturbed and disturbed: the same tables come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.one_machine import CALIBRATION, SWEEP, Command, slow, tables, until

from batch_emulator.engine.faults import DeliveryFaults
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop_workstation.local.local_cloud import Machine
from epydrop_workstation.local.wiring import local_machine
from epydrop_workstation.packing import pack


@pytest.fixture
def epydrop(tmp_path: Path) -> Command:
    """The command in a folder of its own."""
    return Command(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The tables of the two experiments when nothing goes wrong."""
    command = Command(tmp_path_factory.mktemp("undisturbed"))
    found = {text: tables(command.run(command.file(text))["outputs"]) for text in (SWEEP, slow())}
    assert found[SWEEP] != found[slow()]
    return found


def test_an_experiment_runs_from_file_to_report(epydrop: Command) -> None:
    """All that the README promises is there, and its digests are right."""
    found = epydrop.run(epydrop.file(SWEEP))

    folder, outputs = Path(found["folder"]), Path(found["outputs"])
    complete = json.loads((outputs / "complete.json").read_text())
    assert (found["phase"], found["tasks"], found["done"], found["missing"]) == ("succeeded", 4, 4, "")
    assert {"report.html", "quality.json", "quantiles.csv.gz", "trajectories.parquet"} <= set(complete["files"])
    assert found["quality"] == complete["quality"] == "pass"
    assert "Quality: every check passed" in epydrop("show", "latest")
    for name, digest in complete["files"].items():
        assert hashlib.sha256((outputs / name).read_bytes()).hexdigest() == digest
    assert json.loads((folder / "outputs" / "latest.json").read_text())["folder"] == f"outputs/{outputs.name}/"
    assert json.loads((folder / "run_metadata.json").read_text())["seed"] == 7
    assert list(epydrop.root.glob("trigger/replies/experiment.yaml.*.md"))


def test_data_files_come_along_and_posteriors_come_out(epydrop: Command) -> None:
    """In a bundle that the command packs by itself."""
    epydrop.file(
        "date,cases\n" + "\n".join(f"2026-01-{day:02},{10 + 3 * day}" for day in range(1, 13)), "data/cases.csv"
    )

    found = epydrop.run(epydrop.file(CALIBRATION))

    assert (Path(found["outputs"]) / "posteriors.parquet").exists()
    assert (Path(found["folder"]) / "inputs" / "data" / "cases.csv").exists()


def test_tables_do_not_depend_on_how_many_tasks_run_at_once(epydrop: Command, undisturbed: dict) -> None:
    """One at a time gives the same bytes as two."""
    found = epydrop.run(epydrop.file(SWEEP), "--parallelism", 1)

    assert tables(found["outputs"]) == undisturbed[SWEEP]


def at_the_end(machine: Machine, run_id: str) -> Run:
    """Works on the run until it is settled."""

    def is_settled() -> bool:
        stored = machine.runs.load(run_id)
        return stored is not None and not stored.run.unsettled

    machine.work_on(run_id, is_settled)
    stored = machine.runs.load(run_id)
    assert stored is not None
    return stored.run


@pytest.mark.parametrize("seed", [1, 2])
def test_events_that_repeat_lag_and_overtake_each_other_change_nothing(
    epydrop: Command, undisturbed: dict, seed: int
) -> None:
    """Nor do lost ones: the checks find what they would have told."""
    faults = DeliveryFaults(seed=seed, repeat=0.4, delay=0.4, reorder=True, drop=0.2)
    name, data = pack(epydrop.folder / epydrop.file(SWEEP))
    with local_machine(epydrop.root, faults=faults) as machine:
        run_id = machine.drop(name, data)
        while machine.runs.load(run_id) is None:  # the one event that no check of a run makes up for
            run_id = machine.drop(name, data)
            machine.work_on(run_id, lambda: machine.queue.next_due() is None)

        run = at_the_end(machine, run_id)

    assert run.phase is Phase.SUCCEEDED
    assert tables(Path(run.run_url.removeprefix("file://")) / run.outputs) == undisturbed[SWEEP]


def has(root: Path, pattern: str, count: int = 1) -> Callable[[], bool]:
    """Whether at least so many files match."""
    return lambda: len(list(root.glob(pattern))) >= count


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (".epydrop/state.sqlite", 1),
        ("trigger/experiments/*", 1),
        ("runs/*/*/orders/builder-1.json", 1),
        (".epydrop/logs/builder-*/*.log", 1),
        ("runs/*/*/builder-artifacts/input_00001.pkl.zst", 1),
        ("runs/*/*/builder-artifacts/manifest.json", 1),
        (".epydrop/logs/runner-*/*.log", 2),
        ("runs/*/*/runner-artifacts/result_*", 1),
        ("runs/*/*/runner-artifacts/result_*", 3),
        ("runs/*/*/orders/output-1.json", 1),
        (".epydrop/logs/output-*/*.log", 1),
        ("runs/*/*/outputs/*/quantiles.parquet", 1),
    ],
)
def test_a_run_that_was_killed_goes_on_where_it_was(
    epydrop: Command, undisturbed: dict, pattern: str, count: int
) -> None:
    """Nothing is left running, no finished result is made again, the same tables come out."""
    file = epydrop.file(slow())
    epydrop.killed_when(has(epydrop.root, pattern, count), "run", file)
    until(lambda: not epydrop.alive())
    runs, results = list(epydrop.root.glob("runs/sweep/*")), epydrop.results()

    found = epydrop.run(file)

    assert found["phase"] == "succeeded"
    assert tables(found["outputs"]) == undisturbed[slow()]
    assert results.items() <= epydrop.results().items()
    assert runs in ([], [Path(found["folder"])])
    assert not epydrop.alive()


def test_the_same_file_is_a_new_run_once_the_first_has_finished(epydrop: Command) -> None:
    """Nobody runs it twice by accident: while it is unfinished, it goes on."""
    file = epydrop.file(SWEEP)

    assert epydrop.run(file)["run_id"] != epydrop.core.run(file)["run_id"]


def test_new_starts_anew_although_an_unfinished_run_could_go_on(epydrop: Command) -> None:
    """``--new`` says so."""
    file = epydrop.file(slow())
    epydrop.killed_when(has(epydrop.root, "runs/*/*/runner-artifacts/result_*"), "run", file)

    found = epydrop.run(file, "--new")

    assert len(list(epydrop.root.glob("runs/sweep/*"))) == 2
    assert found["phase"] == "succeeded"


def test_a_corrupted_result_is_made_again_and_no_other(epydrop: Command, undisturbed: dict) -> None:
    """The output stage refuses it, and the runner overwrites it."""
    file = epydrop.file(slow())
    epydrop.killed_when(has(epydrop.root, "runs/*/*/orders/output-1.json"), "run", file)
    until(lambda: not epydrop.alive())
    results = epydrop.results()
    bad = next(path for path in results if path.name == "result_00002.pkl.zst")
    bad.write_bytes(bad.read_bytes()[:-100])

    found = epydrop.run(file)

    changed = [path.name for path, written in epydrop.results().items() if results[path] != written]
    refusals = list(Path(found["folder"]).glob("errors/output/*/refused.json"))
    assert refusals
    assert changed == ["result_00002.pkl.zst"]
    assert tables(found["outputs"]) == undisturbed[slow()]


GREEDY = slow(simulations=600).replace(
    "tasks:", "run: {max_attempts: 2, stages: {runner: {memory_mib: 30, max_memory_mib: 40}}}\ntasks:"
)
ENDLESS = slow(simulations=300_000) + "run: {max_attempts: 1, stages: {runner: {max_run_duration: 1}}}\n"
ONE_ENDLESS = SWEEP.replace(
    "parameters.transmission_rate: [0.3, 0.4, 0.5, 0.6]", "simulation.n_simulations: [5, 6, 7, 300000]"
)


def test_tasks_that_eat_too_much_memory_get_more_and_then_fail_by_that_name(epydrop: Command) -> None:
    """And a retry with enough of it goes on."""
    file = epydrop.file(GREEDY)

    found = epydrop.run(file, code=1)

    assert "out_of_memory" in found["reason"]
    assert len(json.loads(epydrop("show", "latest", "--json"))["attempts"]) == 3  # builder, runner, runner with more
    epydrop("retry", "latest", "--memory-mib", 2000)


def test_tasks_that_hang_are_ended_and_named(epydrop: Command) -> None:
    """``max_run_duration`` is what they may take."""
    found = epydrop.run(epydrop.file(ENDLESS), code=1)

    assert found["failures"] == ["4 x timed_out (for example task 0)"]
    log = next(line for line in epydrop("show", "latest").splitlines() if "log: " in line).split("log: ")[1]
    assert "1 s" in Path(log).read_text()
    assert not epydrop.alive()


def test_enough_results_are_published_with_the_gaps_told(epydrop: Command) -> None:
    """Exit code 3; the report and the metadata name the missing task and why."""
    limits = "run: {min_success: 0.75, stages: {runner: {max_run_duration: 4}}}\n"

    found = epydrop.run(epydrop.file(ONE_ENDLESS + limits), code=3)

    metadata = json.loads((Path(found["folder"]) / "run_metadata.json").read_text())
    assert (found["phase"], found["missing"], metadata["missing"]) == ("succeeded", "3", "3")
    assert "timed out" in Path(found["report"]).read_text()


def test_a_retry_computes_only_what_is_missing(epydrop: Command) -> None:
    """Finished results stay as they are."""
    limits = "run: {stages: {runner: {max_run_duration: 4}}}\n"
    found = epydrop.run(epydrop.file(ONE_ENDLESS.replace("300000", "1500") + limits.replace("4", "2")), code=1)
    results = epydrop.results()
    assert len(results) == 3

    epydrop("retry", found["run_id"], "--max-run-duration", 90)

    assert results.items() <= epydrop.results().items()
    assert len(epydrop.results()) == 4
