"""Populations with ages and contacts: each is loaded once, in the builder, and travels in the tasks' inputs."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from urllib.error import URLError

import pandas as pd
from epydemix.population import population as source
from epydemix.population.population import Population, load_epydemix_population

from epydrop.errors import BadInput, Problem, RetryableError
from epydrop_stages.suites.epydemix.checks import FILE
from epydrop_stages.suites.epydemix.tasks import Config

_DATA_VERSION = "v1.2.0"  # what epydemix 1.5 loads unless told otherwise
_LAYERS = ["school", "work", "home", "community"]


def population_name(config: Config) -> str | None:
    """The population that has to be loaded, or None when its size says it all."""
    name = (config.get("population") or {}).get("name")
    return None if name in (None, "default") else str(name)


class Populations:
    """Loads each population once. The data lie where ``EPYDEMIX_DATA`` says (a folder or a URL), else on GitHub."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        if folder := environ.get("EPYDEMIX_DATA"):
            source.EPYDEMIX_DATA_BASE_URL = folder
        self._loaded: dict[tuple[str, tuple[str, ...]], Population] = {}

    def of(self, config: Config) -> Population | None:
        """The population of a configuration. Raises BadInput for an unknown name, RetryableError if the data are away."""
        name = population_name(config)
        if name is None:
            return None
        layers = tuple((config.get("population") or {}).get("contact_layers") or _LAYERS)
        if (name, layers) not in self._loaded:
            self._loaded[name, layers] = self._load(name, layers)
        return self._loaded[name, layers]

    def _load(self, name: str, layers: Sequence[str]) -> Population:
        try:
            known = self._locations
            if name not in known:
                close = difflib.get_close_matches(name, known, n=3)
                hint = f"did you mean {' or '.join(close)}?" if close else f"there are {len(known)}, see locations.csv"
                raise BadInput(Problem(f"there is no population {name!r} in epydemix-data", FILE, hint=hint))
            return load_epydemix_population(name, layers=list(layers), data_version=_DATA_VERSION)
        except FileNotFoundError as error:
            raise BadInput(
                Problem(f"population {name!r}: {error.filename} is not among the data", FILE, hint="check the layers")
            ) from error
        except URLError as error:
            raise RetryableError(f"the data of population {name!r} could not be fetched: {error}") from error

    @cached_property
    def _locations(self) -> list[str]:
        """The names of all populations."""
        table = pd.read_csv(f"{source.EPYDEMIX_DATA_BASE_URL}/{_DATA_VERSION}/locations.csv")
        return [str(name) for name in table["location"]]
