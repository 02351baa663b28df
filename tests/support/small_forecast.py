"""A small forecast with the package epymodelingsuite: its configuration, its data, and two made-up populations.

One simulation takes hundredths of a second. Everything the package needs is written here, so nothing is downloaded.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from epydrop.experiment import Experiment, read_experiment
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, find

PLACES = {"US-MA": "United_States_Massachusetts", "US-NY": "United_States_New_York"}
NAMES = {"US-MA": "Massachusetts", "US-NY": "New York"}

BASEMODEL = """\
model:
  name: small
  random_seed: 42
  timespan: {start_date: calibrated, end_date: "2025-01-25", delta_t: 1.0}
  simulation: {resample_frequency: W-SAT, n_sims: 4}
  population: {age_groups: ["0-4", "5-17", "18-49", "50-64", "65+"]}
  compartments:
    - {id: S, init: default}
    - {id: I, init: calibrated}
    - {id: Hosp}
    - {id: R}
    - {id: S_vax}
  transitions:
    - {type: mediated, source: S, target: I, rate: beta, mediator: I}
    - {type: spontaneous, source: I, target: Hosp, rate: mu*p_h}
    - {type: spontaneous, source: I, target: R, rate: mu*(1-p_h)}
    - {type: spontaneous, source: Hosp, target: R, rate: mu}
    - {type: vaccination, source: S, target: S_vax}
  parameters:
    beta: {type: calibrated}
    mu: {type: scalar, value: 0.4}
    p_h: {type: scalar, value: 0.01}
  vaccination:
    scenario_data_path: data/vaccines.csv
    origin_compartment: S
    eligible_compartments: [S]
  interventions:
    - {type: contact_matrix, scaling_factor: 0.9, contact_matrix_layer: home, start_date: "2024-11-25",
       end_date: "2024-12-01"}
"""

CALIBRATION = """\
modelset:
  population_names: [US-MA, US-NY]
  calibration:
    strategy: {name: SMC, options: {num_particles: 4, num_generations: 2, verbose: false}}
    observed_data_path: data/admissions.csv
    comparison:
      - {observed_date_column: target_end_date, observed_value_column: hospitalizations, simulation: [I_to_Hosp_total]}
    fitting_window: {start_date: "2024-10-12", end_date: "2024-12-28"}
    projection: {n_trajectories: 5}
    start_date: {reference_date: 2024-10-01, prior: {type: scipy, name: randint, args: [0, 10]}}
    compartments:
      I: {prior: {type: scipy, name: uniform, args: [0.0001, 0.001]}}
    parameters:
      beta: {prior: {type: scipy, name: uniform, args: [0.02, 0.02]}}
"""

OUTPUT = """\
output:
  quantiles: {compartments: true, transitions: [I_to_Hosp_total]}
  trajectories: {compartments: [Hosp_total], transitions: true}
  posteriors: true
  flusight_format:
    reference_date: "2025-01-04"
    rate_trends:
      observed_data_path: data/admissions.csv
      observed_value_column: hospitalizations
      observed_date_column: target_end_date
      observed_location_column: geo_value
"""

SAMPLING = """\
modelset:
  population_names: [US-MA, US-NY]
  sampling:
    samplers:
      - {strategy: grid, parameters: [mu]}
      - {strategy: LHS, n_samples: 2, parameters: [beta, start_date], compartments: [I]}
    start_date: {reference_date: 2024-10-01, distribution: {type: scipy, name: randint, args: [0, 10]}}
    compartments: {I: {min: 0.0001, max: 0.001}}
    parameters:
      beta: {distribution: {type: scipy, name: uniform, args: [0.02, 0.02]}}
      mu: {values: [0.3, 0.4]}
"""

SIMULATED = """\
output:
  quantiles: {compartments: [I_total, R_total], transitions: true}
  trajectories: {compartments: true, transitions: false}
"""

EXPERIMENT = """\
exp_id: small/2025w01
suite: epymodelingsuite
seed: 7
"""


def sampled_basemodel() -> str:
    """The same model for sampling, without vaccination, which the package cannot sample a start date with."""
    lines = BASEMODEL.replace("calibrated", "sampled").replace("mu: {type: scalar, value: 0.4}", "mu: {type: sampled}")
    before, _, rest = lines.partition("  vaccination:\n")
    after = "  interventions:" + rest.partition("  interventions:")[2]
    return (before + after).replace("    - {type: vaccination, source: S, target: S_vax}\n", "")


def fixed_basemodel() -> str:
    """The same model with nothing left open."""
    text = sampled_basemodel().replace("start_date: sampled", 'start_date: "2024-10-01"')
    text = text.replace("init: sampled", "init: 0.0005").replace(
        "mu: {type: sampled}", "mu: {type: scalar, value: 0.4}"
    )
    return text.replace("beta: {type: sampled}", "beta: {type: scalar, value: 0.03}").replace(
        "population: {age", "population: {name: US-MA, age"
    )


def weeks(first: date = date(2024, 10, 12), last: date = date(2025, 1, 18)) -> list[date]:
    """The Saturdays from the first to the last."""
    return [first + timedelta(weeks=count) for count in range((last - first).days // 7 + 1)]


def admissions(places: Mapping[str, str] = PLACES) -> str:
    """Weekly admissions: a wave, and more of it in New York."""
    rows = [
        f"{code},{day},{round(100 * size * (1 + np.sin(week / 3)))}"
        for size, code in enumerate(places, start=1)
        for week, day in enumerate(weeks())
    ]
    return "geo_value,target_end_date,hospitalizations\n" + "\n".join(rows) + "\n"


def vaccines() -> str:
    """Coverage that grows by a tenth of a percent a week."""
    ages = [
        "6 Months - 4 Years",
        "5-12 Years",
        "13-17 Years",
        "18-49 Years",
        "50-64 Years",
        "65+ Years",
        "6 Months - 17 Years",
    ]
    rows = [
        f"{name},{age},1000000,{day},{week / 10}"
        for name in NAMES.values()
        for age in ages
        for week, day in enumerate(weeks(date(2024, 9, 7)))
    ]
    return "Geography,Age,Population,Week_Ending_Sat,Coverage\n" + "\n".join(rows) + "\n"


def files(**changes: str) -> dict[str, str]:
    """All files of a calibration; a change gives another text to 'basemodel', 'modelset', 'output' or a path."""
    texts = {
        "basemodel.yaml": changes.pop("basemodel", BASEMODEL),
        "modelset.yaml": changes.pop("modelset", CALIBRATION),
        "output.yaml": changes.pop("output", OUTPUT),
        "data/admissions.csv": changes.pop("admissions", admissions()),
        "data/vaccines.csv": vaccines(),
    }
    return {name: text for name, text in {**texts, **changes}.items() if text}


def write(folder: Path, texts: Mapping[str, str]) -> Path:
    """Puts texts into files."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def bundle(texts: Mapping[str, str], experiment: str = EXPERIMENT) -> bytes:
    """A zip to drop."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in {"experiment.yaml": experiment, **texts}.items():
            archive.writestr(name, text)
    return stream.getvalue()


def population_data(folder: Path) -> Path:
    """A folder as epydemix-data has it, with 85 ages of 80,000 people each who meet at random."""
    root = folder / "v1.2.0"
    texts = {"locations.csv": "location,primary_contact_source,contact_sources,population_source\n"}
    ages = [*map(str, range(84)), "84+"]
    for name in PLACES.values():
        texts["locations.csv"] += f"{name},mistry_2021,mistry_2021,made up\n"
        texts[f"data/{name}/demographic/age_distribution.csv"] = "group_name,value\n" + "\n".join(
            f"{age},80000" for age in ages
        )
        matrix = "\n".join(",".join(["0.04"] * 85) for _ in ages)
        for layer in ("school", "work", "home", "community", "all"):
            texts[f"data/{name}/contact_matrices/mistry_2021/contacts_matrix_{layer}.csv"] = matrix
    write(root, texts)
    return folder


CONFIG = {"b.yml": BASEMODEL, "m.yaml": CALIBRATION, "o.yaml": OUTPUT}


def an_experiment(text: str = "") -> Experiment:
    """The experiment, with more keys."""
    return read_experiment((EXPERIMENT + text).encode(), "flu.yaml", "flu")


def found_in(folder: Path, texts: Mapping[str, str], text: str = "") -> Configuration:
    """The configuration that these files make."""
    return find(an_experiment(text), write(folder, texts))
