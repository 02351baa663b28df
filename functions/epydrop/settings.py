"""The settings of a deployment, read once from a mapping that is handed in; none has a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from epydrop.errors import WiredWrongly


@dataclass(frozen=True)
class Settings:
    """What tells one deployment from another.

    ``data_url`` is the store under which the runs lie, and ends in '/'; ``trigger_bucket`` is where files are dropped.
    """

    data_url: str
    trigger_bucket: str
    environment: str
    image: str


_VARIABLES = {
    "data_url": "EPYDROP_DATA_URL",
    "trigger_bucket": "EPYDROP_TRIGGER_BUCKET",
    "environment": "EPYDROP_ENVIRONMENT",
    "image": "EPYDROP_IMAGE",
}


def read_settings(variables: Mapping[str, str]) -> Settings:
    """The settings in these variables. Raises WiredWrongly with the names of all that are missing."""
    missing = [name for name in _VARIABLES.values() if not variables.get(name)]
    if missing:
        raise WiredWrongly(f"these variables are not set: {', '.join(missing)}")
    values = {field: variables[name] for field, name in _VARIABLES.items()}
    if not values["data_url"].endswith("/"):
        raise WiredWrongly(f"EPYDROP_DATA_URL is {values['data_url']!r}, expected a URL that ends in '/'")
    return Settings(**values)
