"""What is wrong with a configuration, before anything is spent: the package's own checks, and what it lets pass.

Every problem names its file and line.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError

from epydrop.errors import BadInput, Problem
from epydrop.experiment.data_files import name_fault, named_paths
from epydrop_stages.suites.epymodelingsuite.agreement import disagreements
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, Part
from epydrop_stages.suites.epymodelingsuite.package import NAME
from epydrop_stages.suites.epymodelingsuite.unknown_keys import misspelled

Steps = tuple[str | int, ...]

_KINDS = ("basemodel", "calibration", "sampling", "output")
_LARGE_FILE = b"version https://git-lfs.github.com/spec/"
_NO_MODELSET = SimpleNamespace(  # a basemodel alone is checked against an empty one
    modelset=SimpleNamespace(sampling=SimpleNamespace(parameters={}, compartments={}), population_names=None)
)


@dataclass(frozen=True)
class Configs:
    """The configuration in the package's own classes; of ``calibration`` and ``sampling`` one at most is given."""

    basemodel: Any
    calibration: Any
    sampling: Any
    output: Any

    def for_builder(self) -> dict[str, Any]:
        """The arguments of ``dispatch_builder``."""
        configs = {f"{kind}_config": getattr(self, kind) for kind in ("basemodel", "calibration", "sampling")}
        return {name: config for name, config in configs.items() if config is not None}


def validated(configuration: Configuration, folder: Path) -> Configs:
    """The configuration, read and cross-checked. Raises BadInput with every problem."""
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for part in configuration:
        problems.extend(_file_problems(part, folder))
        problems.extend(_population_problems(part))
        try:
            found[part.kind] = read(part)
        except BadInput as error:
            problems.extend(error.problems)
        else:
            problems.extend(misspelled(part, found[part.kind]))
    if not problems:
        configs = Configs(*(found.get(kind) for kind in _KINDS))
        problems.extend(disagreements(configuration))
        problems.extend(cross_checked(configuration, configs))
    if problems:
        raise BadInput(*dict.fromkeys(problems))
    return configs


def output_config(configuration: Configuration) -> Any:
    """The output configuration in the package's own class. Raises BadInput if it does not fit the others."""
    found = {part.kind: read(part) for part in configuration}
    configs = Configs(*(found.get(kind) for kind in _KINDS))
    problems = [*misspelled(configuration.output, configs.output), *cross_checked(configuration, configs)]
    if problems:
        raise BadInput(*problems)
    return configs.output


def read(part: Part) -> Any:
    """A part in the package's own class. Raises BadInput with all that its schema refuses."""
    schema = importlib.import_module(f"{NAME}.schema.{part.kind}")
    try:
        return getattr(schema, f"validate_{part.kind}")(part.document)
    except ValueError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, ValidationError):
            raise BadInput(*_refused(part, cause)) from error
        raise BadInput(part.problem(str(error))) from error


def cross_checked(configuration: Configuration, configs: Configs) -> Iterator[Problem]:
    """What the parts say of each other that is not so, by the package's own check: the first thing of each part."""
    check = importlib.import_module(f"{NAME}.schema.general").validate_cross_config_consistency
    modelset = configs.calibration or configs.sampling
    if configuration.modelset:
        try:
            check(configs.basemodel, modelset)
        except ValueError as error:
            yield configuration.modelset.problem(str(error))
            return
    try:
        check(configs.basemodel, modelset or _NO_MODELSET, configs.output)
    except ValueError as error:
        yield configuration.output.problem(str(error))


def _refused(part: Part, error: ValidationError) -> Iterator[Problem]:
    """One problem for each place; a value that could be several things was refused once for each of them."""
    found: dict[Steps, list[str]] = {}
    document = part.document
    for detail in error.errors(include_url=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        found.setdefault(_known(document, detail["loc"]), []).append(message)
    for path, messages in found.items():
        yield part.problem(", or: ".join(dict.fromkeys(messages)), path)


def _known(value: Any, path: Iterable[str | int]) -> Steps:
    """As much of a path as is in the document; between its steps stand names of the schema's own."""
    known: list[str | int] = []
    for step in path:
        is_there = step in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(step, int)
        if is_there:
            known.append(step)
            value = value[step]
    return tuple(known)


def _file_problems(part: Part, folder: Path) -> Iterator[Problem]:
    """Data files that are not there; the package opens them by their paths, from the folder of all files."""
    root = folder.resolve()
    for path, name in named_paths(part.document):
        file = (root / name).resolve()
        if fault := name_fault(name):
            yield part.problem(fault, path)
        elif not file.is_relative_to(root) or not file.is_file():
            yield part.problem(f"there is no file {name!r} in the bundle or the repository", path)
        elif _is_pointer(file):
            hint = "commit the file itself, or put it into a bundle"
            yield part.problem(f"{name!r} is a pointer to Git LFS, which does not come with the repository", path, hint)


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_LARGE_FILE)) == _LARGE_FILE


def _population_problems(part: Part) -> Iterator[Problem]:
    """Names that are no codes: of some the package would only say that an index is out of range."""
    from epymodelingsuite.utils import convert_location_name_format, validate_iso3166  # noqa: PLC0415

    given = part.document.get("modelset", {}).get("population_names") if part.part == "modelset" else None
    names: list[Any] = given if isinstance(given, list) else []
    for position, name in enumerate(names):
        path = ("modelset", "population_names", position)
        if name in names[:position]:
            yield part.problem(f"{name!r} stands there twice", path)
        elif name != "all":
            try:
                convert_location_name_format(validate_iso3166(name), "epydemix_population")
            except Exception:  # noqa: BLE001 - whatever the package raises, it means the same
                yield part.problem(f"{name!r} is not the code of a place that the package knows, such as US-MA", path)
