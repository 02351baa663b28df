"""The package epymodelingsuite itself: whether it is installed, compatible with the other packages, and its version.

It is imported only inside functions, because it is optional.
"""

from __future__ import annotations

import importlib
import re
from importlib import metadata

from epydrop.errors import BadInput, Problem

NAME = "epymodelingsuite"
INSTALL = "pip install 'epymodelingsuite @ git+https://github.com/mobs-lab/epymodelingsuite' 'pandas<3'"

_MODULES = (
    "dispatcher",
    "schema.basemodel",
    "schema.calibration",
    "schema.general",
    "schema.output",
    "schema.sampling",
)
_PACKAGES = (NAME, "epydemix", "numpy", "scipy", "pandas", "dill", "zstandard")
_FIRST = re.compile(r"0\.[01](\.|$)")


def require() -> None:
    """Raise BadInput with installation instructions unless the package is installed and can be imported.

    BadInput and not ConfigurationError, because the experiment asks for the package: its author can use another suite.
    """
    try:
        version = metadata.version(NAME)
    except metadata.PackageNotFoundError:
        hint = f"{INSTALL}; in the cloud, build the image with it"
        raise BadInput(_problem(f"the package '{NAME}' is not installed here", hint)) from None
    pandas = metadata.version("pandas")
    if _FIRST.match(version) and int(pandas.split(".")[0]) >= 3:
        # It assigns to slices of a table; with copy-on-write (pandas 3) that fails or is silently lost.
        raise BadInput(_problem(f"'{NAME}' {version} needs pandas below 3, but this is pandas {pandas}", INSTALL))
    try:
        for module in _MODULES:
            importlib.import_module(f"{NAME}.{module}")
    except Exception as error:  # a version mismatch may raise anything
        hint = f"installed are {installed()}; try {INSTALL}"
        raise BadInput(_problem(f"'{NAME}' cannot be imported: {type(error).__name__}: {error}", hint)) from error


def _problem(message: str, hint: str) -> Problem:
    return Problem(f"suite: {message}", hint=hint, path=("suite",))


def is_first() -> bool:
    """Whether this is the first published version, whose limits are known (see ``limits``)."""
    return bool(_FIRST.match(metadata.version(NAME)))


def versions() -> dict[str, str]:
    """Packages that determine the numbers: package -> version."""
    return {package: metadata.version(package) for package in _PACKAGES}


def installed() -> str:
    """The versions as text."""
    return ", ".join(f"{package} {version}" for package, version in versions().items())
