"""All output tables. To add one, write its module and list it in ``TABLES``."""

from __future__ import annotations

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.outputs.tables import forecasts, model_metadata, posteriors, quantiles, trajectories
from epydrop_stages.outputs.tables.blocks import Layout

TABLES = (quantiles.TABLE, model_metadata.TABLE, forecasts.TABLE, trajectories.TABLE, posteriors.TABLE)


def layouts_of(experiment: Experiment, columns: Columns) -> dict[str, Layout]:
    """The tables that the experiment gets, by name; none for a suite that makes its own."""
    if columns.own_tables:
        return {}
    kinds = {table.name: table.columns(experiment, columns) for table in TABLES}
    return {name: Layout(name, found, experiment.outputs.formats) for name, found in kinds.items() if found}
