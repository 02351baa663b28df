"""The example on real admissions, small: four states from their data to a file that the hub would take."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from support.paths import ROOT
from support.stage_run import StageRun, experiment_in

from epydrop.experiment import read_experiment
from epydrop_workstation.packing import pack

DATA = Path(os.environ.get("EPYDROP_SHARED_DATA", ROOT.parent / "shared" / "data"))
ADMISSIONS, POPULATIONS = DATA / "flu_hosp_24.csv", DATA / "epydemix-data"
SMALL = (
    "model.calibration.num_particles=4",
    "model.calibration.num_generations=2",
    "model.projection.n_simulations=4",
    "tasks.chains=1",
)

pytestmark = pytest.mark.skipif(
    not (ADMISSIONS.is_file() and POPULATIONS.is_dir()),
    reason=f"needs flu_hosp_24.csv and epydemix-data in {DATA}, or where EPYDROP_SHARED_DATA says",
)


def test_four_states_are_forecast_from_their_admissions(tmp_path, monkeypatch):
    """Every state by its FIPS code, every horizon, quantiles and trends."""
    monkeypatch.setenv("EPYDEMIX_DATA", str(POPULATIONS))
    monkeypatch.setattr("epydemix.population.population.EPYDEMIX_DATA_BASE_URL", "restored afterwards")
    source = tmp_path / "source" / "flu.yaml"
    source.parent.mkdir()
    text = (ROOT / "examples" / "flu-four-states" / "experiment.yaml").read_bytes()
    source.write_bytes(read_experiment(text, "flu.yaml", "flu", SMALL).to_yaml())
    shutil.copy(ADMISSIONS, source.parent)
    name, bundle = pack(source)

    run = StageRun.of(tmp_path / "run", experiment_in(bundle), bundle, name).whole()

    (hub,) = [file for file in run.names("outputs/") if "/hub/" in file]
    rows = list(csv.DictReader(io.StringIO(run.store.read(hub).decode())))
    assert Counter(row["location"] for row in rows) == dict.fromkeys(["25", "36", "13", "41"], 5 * 23 + 4 * 5)
    assert {row["target_end_date"] for row in rows} == {
        "2025-02-01",
        "2025-02-08",
        "2025-02-15",
        "2025-02-22",
        "2025-03-01",
    }
    assert hub.endswith("2025-02-08-epydrop-epydemix.csv")
