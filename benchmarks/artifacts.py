"""Writing and reading artifacts, beside dill and gzip as they come: time and size, as ratios, on real results.

The results are those of the two examples, a calibration and a point of a sweep, and of the latter with 300 simulations
in place of 10. Ours also sign and verify.
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
from epydrop.experiment.bundle.pack import pack
from epydrop.formats.names import Stage
from epydrop.stores.urls import open_object_store
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta, read_artifact, write_artifact
from epydrop_stages.stages.bundles import unpack_and_store_bundle
from epydrop_stages.suites import epydemix

ROUNDS = 7
EXAMPLES = Path(__file__).parent.parent / "examples"
KEYS = SigningKeys({"bench": b"a key for measuring only"})
META = Meta("result", "20261122-231500-0123abcd", Stage.RUNNER, 0)


def result_of(name: str, *settings: str) -> object:
    """What the first task of an example returns."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        store = open_object_store(workspace.as_uri() + "/")
        file, data = pack(EXAMPLES / name / "experiment.yaml")
        store.write(f"dropped/{file}", data)
        unpack_and_store_bundle(store, workspace)
        experiment = read_experiment((EXAMPLES / name / "experiment.yaml").read_bytes(), file, name, settings)
        (task,) = islice(epydemix.build(experiment, workspace), 1)
        return epydemix.run(task)


def milliseconds(work: Callable[[], object]) -> float:
    """Median wall time."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def compared(name: str, result: object, folder: Path) -> None:
    """Prints the rows of one result."""
    store = open_object_store((folder / name.replace(" ", "-")).as_uri() + "/")
    plain = folder / f"{name}.pkl.gz"

    def write_plain() -> None:
        with gzip.open(plain, "wb") as file:
            dill.dump(result, file)

    def read_plain() -> object:
        with gzip.open(plain, "rb") as file:
            return dill.load(file)  # noqa: S301 - just written here

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
    """One line: ours, theirs, ratio."""
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
