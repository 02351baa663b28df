"""The settings of a deployment, read once from a mapping of environment variables.

A field's variable is ``EPYDROP_`` and its name in capitals; Terraform sets the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from epydrop.errors import ConfigurationError

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Settings:
    """What differs between deployments.

    ``data_url``: the store of the runs, ending in '/'. ``trigger_bucket``: where files are dropped. ``accept_from``:
    files dropped before this time are never started by the sweep.
    """

    data_url: str
    trigger_bucket: str
    environment: str
    image: str
    accept_from: datetime


@dataclass(frozen=True)
class CloudSettings(Settings):
    """The settings of a deployment in Google Cloud; only the last two are optional.

    ``image`` is a digest in ``image_repository`` (HOST/PROJECT/REPOSITORY/NAME). Topics, networks and secrets are full
    resource names. ``batch_endpoint``: the address of a Cloud Batch emulator, see ``epydrop.gcp.batch_client``.
    """

    project: str
    region: str
    image_repository: str
    database: str
    kick_topic: str
    batch_topic: str
    runs_topic: str
    batch_service_account: str
    network: str
    subnetwork: str
    signing_key_secret: str
    github_pat_secret: str = ""
    batch_endpoint: str = ""


_TOPIC = (r"projects/[^/]+/topics/[^/]+", "projects/PROJECT/topics/NAME")
_SECRET = (r"projects/[^/]+/secrets/[^/]+/versions/[^/]+", "projects/PROJECT/secrets/NAME/versions/VERSION")
_FORMS = {"data_url": (r".+/", "a URL that ends in '/', such as gs://BUCKET/prefix/")}
_CLOUD_FORMS = {
    "data_url": (r"gs://[^/]+/(.+/)?", "a URL that begins with gs:// and ends in '/', such as gs://BUCKET/prefix/"),
    "image": (r"sha256:[0-9a-f]{64}", "'sha256:' and 64 hexadecimal digits"),
    "image_repository": (r"[^@]+/[^@:]+", "HOST/PROJECT/REPOSITORY/NAME without a tag or digest"),
    "kick_topic": _TOPIC,
    "batch_topic": _TOPIC,
    "runs_topic": _TOPIC,
    "signing_key_secret": _SECRET,
    "github_pat_secret": _SECRET,
}


def read_settings(variables: Mapping[str, str]) -> Settings:
    """The settings in these variables. Raises ConfigurationError with every missing or malformed one."""
    return _read(Settings, _FORMS, variables)


def read_cloud_settings(variables: Mapping[str, str]) -> CloudSettings:
    """The settings of a deployment in Google Cloud. Raises ConfigurationError, like ``read_settings``."""
    return _read(CloudSettings, _CLOUD_FORMS, variables)


def variable_of(field: str) -> str:
    """The environment variable that a field is read from."""
    return f"EPYDROP_{field.upper()}"


def _read(kind: type[S], forms: Mapping[str, tuple[str, str]], variables: Mapping[str, str]) -> S:
    given = {field.name: variables.get(variable_of(field.name), "") for field in fields(kind)}
    problems = list(_problems(kind, forms, given))
    if problems:
        raise ConfigurationError("; ".join(problems))
    values: dict[str, Any] = {**given, "accept_from": _moment(given["accept_from"])}
    return kind(**values)


def _problems(kind: type[Settings], forms: Mapping[str, tuple[str, str]], given: Mapping[str, str]) -> Iterator[str]:
    missing = [variable_of(field.name) for field in fields(kind) if field.default is MISSING and not given[field.name]]
    if missing:
        yield f"these variables are not set: {', '.join(missing)}"
    for name, (pattern, expected) in forms.items():
        if given[name] and not re.fullmatch(pattern, given[name]):
            shown = (
                "not the name of a secret" if forms[name] is _SECRET else repr(given[name])
            )  # not printed: someone may have put the secret itself here
            yield f"{variable_of(name)} is {shown}, expected {expected}"
    if given["accept_from"] and _moment(given["accept_from"]) is None:
        yield f"EPYDROP_ACCEPT_FROM is {given['accept_from']!r}, expected a time such as 2026-11-22T12:00:00Z"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
