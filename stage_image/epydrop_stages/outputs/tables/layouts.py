"""Which tables an experiment gets, and their columns."""

from __future__ import annotations

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.outputs.forecasts import forecast_columns, has_forecasts
from epydrop_stages.outputs.tables.blocks import Layout

_METADATA = {
    "seed": "integer",
    "key": "text",
    "state": "text",
    "population": "number",
    "simulations": "integer",
    "particles": "integer",
    "effective_sample_size": "number",
    "largest_distance": "number",
}


def layouts_of(experiment: Experiment, columns: Columns) -> dict[str, Layout]:
    """The tables that the experiment asks for, by name."""
    if columns.own_tables:
        return {}
    wanted = experiment.outputs
    point = {"location": "text", **columns.parameters}
    run = {**point, "chain": "integer"}
    kind = {"kind": "text", **({"scenario": "text"} if experiment.scenarios else {})}
    value = {"date": "date", "variable": "text", "quantile": "number", "value": "number"}
    particle = {"particle": "integer", "weight": "number", "distance": "number"}
    tables = {
        "quantiles": {**point, **kind, **value},
        "model_metadata": {"index": "integer", **run, **_METADATA},
    }
    if has_forecasts(experiment):
        tables["forecasts"] = {**point, **forecast_columns(experiment)}
    if wanted.trajectories:
        tables["trajectories"] = {
            **run,
            **kind,
            "sim": "integer",
            "date": "date",
            **dict.fromkeys(columns.variables, "number"),
        }
    if wanted.posteriors and columns.priors:
        tables["posteriors"] = {**run, **particle, **dict.fromkeys(columns.priors, "number")}
    return {name: Layout(name, kinds, wanted.formats) for name, kinds in tables.items()}
