"""The overhead of a whole run on the emulators: time from drop to reply, minus the time in which tasks ran."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support.cloud_twin import Deployment, deployed, emulated  # noqa: E402 - after the path
from support.one_machine import SWEEP  # noqa: E402

from epydrop.core.phases import Phase  # noqa: E402
from epydrop.core.run import Run  # noqa: E402
from epydrop.formats import names  # noqa: E402
from epydrop.formats.names import Stage  # noqa: E402
from epydrop.formats.serialization import from_json  # noqa: E402
from epydrop.formats.stage_records import Telemetry  # noqa: E402
from epydrop.stores import open_store  # noqa: E402

ROUNDS = 5
LOAD_PATIENCE = 3000.0  # seconds for each run; 2,500 tasks take many minutes on two cores


def one_run(here: Deployment, number: int) -> dict[str, float]:
    """Seconds from the drop to the reply, and for each stage the seconds in which a task of it ran."""
    run = here.settled(here.drop(SWEEP, f"experiments/sweep-{number}.yaml"))
    if run.phase is not Phase.SUCCEEDED:
        raise RuntimeError(run.reason)
    task_time = {str(stage): _task_time(run, stage) for stage in Stage}
    reply = open_store(f"gs://{here.trigger}/").stat(names.reply_name(run.dropped.name, run.run_id, "md"))
    if reply is None:
        raise RuntimeError(f"run {run.run_id} got no reply")
    whole = (reply.created - run.dropped.created).total_seconds()
    return {"whole run": whole, **task_time, "added": whole - sum(task_time.values())}


def _task_time(run: Run, stage: Stage) -> float:
    """Seconds from the start of the stage's first task to the end of its last."""
    store = open_store(run.run_url)
    folder = names.telemetry_folder(stage, 1)
    records = [from_json(Telemetry, store.read(info.name), info.name) for info in store.list(folder)]
    return max(one.started + one.wall_seconds for one in records) - min(one.started for one in records)


def load(here: Deployment, tasks: int, at_once: int) -> None:
    """Runs experiments of so many tasks at the same time; raises RuntimeError if one does not succeed."""
    before, _, _ = SWEEP.partition("tasks:")
    text = before.replace("n_simulations: 5", "n_simulations: 1")
    text += f"tasks: {{chains: {tasks}}}\noutputs: {{trajectories: false, formats: [parquet]}}\n"
    with ThreadPoolExecutor(at_once) as pool:
        run_ids = list(pool.map(lambda number: here.drop(text, f"experiments/load-{number}.yaml"), range(at_once)))
    for run in [here.settled(run_id, patience=LOAD_PATIENCE) for run_id in run_ids]:
        if run.phase is not Phase.SUCCEEDED or run.missing:
            raise RuntimeError(f"run {run.run_id}: {run.phase}, missing {run.missing}, {run.reason}")
    events = sum(kind == "jobs" for kind, _ in here.postman.delivered)
    print(f"{at_once} runs of {tasks} tasks succeeded, with {events} messages about jobs")


def main() -> None:
    """Prints one table of medians, or with ``--tasks`` or ``--at-once`` puts load on the deployment instead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, help="tasks of each run, for example 2500")
    parser.add_argument("--at-once", type=int, help="runs at the same time, for example 20")
    options = parser.parse_args()
    with emulated() as around, tempfile.TemporaryDirectory() as folder, deployed(Path(folder), around) as here:
        if options.tasks or options.at_once:
            load(here, options.tasks or 4, options.at_once or 1)
            return
        one_run(here, 0)  # not timed: the first events open connections and import modules
        runs = [one_run(here, number) for number in range(1, ROUNDS + 1)]
    print(f"a run of four short tasks on the emulators, median of {ROUNDS}, in seconds")
    for what in runs[0]:
        print(f"  {what:<12}{statistics.median(run[what] for run in runs):>8.2f}")


if __name__ == "__main__":
    main()
