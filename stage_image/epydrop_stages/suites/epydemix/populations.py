"""Loads populations with age groups and contact matrices: once each, in the builder, which stores them in the tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from urllib.error import URLError

import pandas as pd
from epydemix.population import population as source
from epydemix.population.population import Population, load_epydemix_population

from epydrop.errors import BadInput, KeyPath, Problem, RetryableError
from epydrop_stages.suites.epydemix.tasks import Config

_DATA_VERSION = "v1.2.0"  # the default of epydemix 1.5
_LAYERS = ["school", "work", "home", "community"]


def population_name(config: Config) -> str | None:
    """The population to load; None for one that is defined by its size."""
    name = (config.get("population") or {}).get("name")
    return None if name in (None, "default") else str(name)


class Populations:
    """Loads each population once, from the folder or URL in ``EPYDEMIX_DATA``, by default from GitHub."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        if folder := environ.get("EPYDEMIX_DATA"):
            source.EPYDEMIX_DATA_BASE_URL = folder  # the loader has no argument for it
        self._loaded: dict[tuple[str, tuple[str, ...]], Population] = {}

    def of(self, config: Config, path: KeyPath = ("model", "population", "name")) -> Population | None:
        """The population of a configuration, or None if it is defined by its size.

        ``path`` leads to its name in the experiment. Raises BadInput for an unknown population, RetryableError if the
        data cannot be reached.
        """
        name = population_name(config)
        if name is None:
            return None
        layers = tuple((config.get("population") or {}).get("contact_layers") or _LAYERS)
        if (name, layers) not in self._loaded:
            self._loaded[name, layers] = self._load(name, layers, path)
        return self._loaded[name, layers]

    def _load(self, name: str, layers: Sequence[str], path: KeyPath) -> Population:
        try:
            known = self._locations
            if name not in known:
                close = get_close_matches(name, known, n=3)
                hint = f"did you mean {' or '.join(close)}?" if close else f"there are {len(known)}, see locations.csv"
                raise BadInput(Problem(f"there is no population {name!r} in epydemix-data", hint=hint, path=path))
            return load_epydemix_population(name, layers=list(layers), data_version=_DATA_VERSION)
        except FileNotFoundError as error:
            message = f"population {name!r}: {error.filename} is not among the data"
            raise BadInput(Problem(message, hint="check the layers", path=path)) from error
        except URLError as error:
            raise RetryableError(f"the data of population {name!r} could not be downloaded: {error}") from error

    @cached_property
    def _locations(self) -> list[str]:
        """Names of all populations."""
        table = pd.read_csv(f"{source.EPYDEMIX_DATA_BASE_URL}/{_DATA_VERSION}/locations.csv")
        return [str(name) for name in table["location"]]
