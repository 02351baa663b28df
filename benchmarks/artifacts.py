"""Writing and reading artifacts compared with plain dill and gzip: time and size on real results, and their ratios.

The results are those of two examples, a calibration and one point of a sweep, and of that point with 300 simulations
instead of 10. Artifacts are also signed and verified.
"""

from __future__ import annotations

import gzip
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import dill

from epydrop.experiment import read_experiment
from epydrop.formats.names import Stage
from epydrop.stores import open_store
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta, read_artifact, write_artifact
from epydrop_stages.stages.bundles import unpack_and_store_bundle
from epydrop_stages.suites import epydemix
from epydrop_workstation.packing import pack

ROUNDS = 7
EXAMPLES = Path(__file__).parent.parent / "examples"
KEYS = SigningKeys({"bench": b"a key for measurements only"})
META = Meta("result", "20261122-231500-0123abcd", Stage.RUNNER, 0)


def result_of(name: str, *settings: str) -> object:
    """The result of an example's first task."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        store = open_store(workspace.as_uri() + "/")
        file, data = pack(EXAMPLES / name / "experiment.yaml")
        store.write(f"dropped/{file}", data)
        unpack_and_store_bundle(store, workspace, dropped_md5="")
        experiment = read_experiment((EXAMPLES / name / "experiment.yaml").read_bytes(), file, name, settings)
        (task,) = islice(epydemix.build(experiment, workspace), 1)
        return epydemix.run(task)


def milliseconds(work: Callable[[], object]) -> float:
    """Median wall time of ROUNDS calls."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def compared(name: str, result: object, folder: Path) -> None:
    """Prints the rows for one result."""
    store = open_store((folder / name.replace(" ", "-")).as_uri() + "/")
    plain = folder / f"{name}.pkl.gz"

    def write_plain() -> None:
        with gzip.open(plain, "wb") as file:
            dill.dump(result, file)

    def read_plain() -> object:
        with gzip.open(plain, "rb") as file:
            return dill.load(file)  # noqa: S301 - written by this process

    pairs = {
        "write, ms": (lambda: write_artifact(store, "a", result, META, KEYS), write_plain),
        "read, ms": (lambda: read_artifact(store, "a", META, KEYS), read_plain),
    }
    print(f"{name}")
    for words, (ours, theirs) in pairs.items():
        row(words, milliseconds(ours), milliseconds(theirs))
    info = store.stat("a")
    row("size, KiB", (info.size if info else 0) / 1024, plain.stat().st_size / 1024)


def row(words: str, ours: float, theirs: float) -> None:
    """Prints one line: artifact, dill and gzip, ratio."""
    print(f"  {words:<12}{ours:>12.1f}{theirs:>14.1f}{ours / theirs:>8.2f}")


def main() -> None:
    """Prints one table."""
    print(f"{'':<14}{'artifact':>12}{'dill + gzip':>14}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        compared("boarding-school-1978", result_of("boarding-school-1978"), Path(folder))
        compared("scenario-sweep", result_of("scenario-sweep"), Path(folder))
        large = result_of("scenario-sweep", "model.simulation.n_simulations=300")
        compared("scenario-sweep, 300 simulations", large, Path(folder))


if __name__ == "__main__":
    main()
