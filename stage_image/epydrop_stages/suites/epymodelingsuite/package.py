"""The package epymodelingsuite itself: whether it is here, whether it fits what else is installed, and its versions.

It is imported only inside functions, so that everything else works where it is not installed.
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
    """Raises BadInput, with what to install, unless the package is here and works with the others.

    It is the experiment that asks for the package, and whoever wrote it can have it installed or use another suite.
    """
    try:
        version = metadata.version(NAME)
    except metadata.PackageNotFoundError:
        hint = f"{INSTALL}; in the cloud, build the image with it"
        raise BadInput(Problem(f"suite: the package '{NAME}' is not installed here", hint=hint)) from None
    pandas = metadata.version("pandas")
    if _FIRST.match(version) and int(pandas.split(".")[0]) >= 3:
        # It assigns to parts of a table, which from pandas 3 on (copy on write) fails or is lost without a word.
        message = f"suite: '{NAME}' {version} was written for pandas below 3, and this is pandas {pandas}"
        raise BadInput(Problem(message, hint=INSTALL))
    try:
        for module in _MODULES:
            importlib.import_module(f"{NAME}.{module}")
    except Exception as error:  # whatever a mismatch of versions raises
        message = f"suite: '{NAME}' cannot be imported: {type(error).__name__}: {error}"
        hint = f"installed are {installed()}; try {INSTALL}"
        raise BadInput(Problem(message, hint=hint)) from error


def is_first() -> bool:
    """Whether this is the version that was published first, whose ways are known."""
    return bool(_FIRST.match(metadata.version(NAME)))


def versions() -> dict[str, str]:
    """What the suite computes with: package -> version."""
    return {package: metadata.version(package) for package in _PACKAGES}


def installed() -> str:
    """The same in words."""
    return ", ".join(f"{package} {version}" for package, version in versions().items())
