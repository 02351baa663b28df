"""Validates a configuration before anything is computed: the package's own checks, and ours for what it accepts.

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

from epydrop.errors import BadInput, KeyPath, Problem
from epydrop.experiment.data_files import name_fault, named_paths
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, Part
from epydrop_stages.suites.epymodelingsuite.generator import sections_of
from epydrop_stages.suites.epymodelingsuite.modelset_agreement import disagreements
from epydrop_stages.suites.epymodelingsuite.package import NAME
from epydrop_stages.suites.epymodelingsuite.unknown_keys import misspelled

_KINDS = ("basemodel", "calibration", "sampling", "output")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_NO_MODELSET = SimpleNamespace(  # the package's check needs one; this one refers to nothing
    modelset=SimpleNamespace(sampling=SimpleNamespace(parameters={}, compartments={}), population_names=None)
)


@dataclass(frozen=True)
class Configs:
    """The configuration in the package's classes; at most one of ``calibration`` and ``sampling`` is not None."""

    basemodel: Any
    calibration: Any
    sampling: Any
    output: Any

    def for_builder(self) -> dict[str, Any]:
        """Keyword arguments of ``dispatch_builder``."""
        configs = {f"{kind}_config": getattr(self, kind) for kind in ("basemodel", "calibration", "sampling")}
        return {name: config for name, config in configs.items() if config is not None}


def validated(configuration: Configuration, folder: Path) -> Configs:
    """The configuration in the package's classes. Raises BadInput with all problems of all parts."""
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
        problems = list(disagreements(configuration)) or list(_modelset_problems(configuration, configs))
        problems.extend(_output_problems(configuration, configs))
    if problems:
        raise BadInput(*dict.fromkeys(problems))  # without duplicates: union types report one value several times
    return configs


def output_config(configuration: Configuration) -> Any:
    """The output configuration in the package's class. Raises BadInput if it does not fit the other parts."""
    found = {part.kind: read(part) for part in configuration}
    configs = Configs(*(found.get(kind) for kind in _KINDS))
    problems = [*misspelled(configuration.output, configs.output), *_output_problems(configuration, configs)]
    if problems:
        raise BadInput(*problems)
    return configs.output


def read(part: Part) -> Any:
    """A part in the package's class. Raises BadInput with everything that its schema refuses."""
    schema = importlib.import_module(f"{NAME}.schema.{part.kind}")
    try:
        return getattr(schema, f"validate_{part.kind}")(part.document)
    except ValueError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, ValidationError):
            raise BadInput(*_refused(part, cause)) from error
        raise BadInput(part.problem(str(error))) from error


def _modelset_problems(configuration: Configuration, configs: Configs) -> Iterator[Problem]:
    """The first thing in the modelset that contradicts the basemodel, by the package's own check.

    The check raises a sentence without a path, so the section is found by checking again without the populations.
    """
    part, modelset = configuration.modelset, configs.calibration or configs.sampling
    if part is None:
        return
    if message := _contradiction(configs.basemodel, modelset):
        anywhere = modelset.model_copy(
            update={"modelset": modelset.modelset.model_copy(update={"population_names": []})}
        )
        is_population = not _contradiction(configs.basemodel, anywhere)
        yield part.problem(message, ("modelset", "population_names" if is_population else part.kind))


def _output_problems(configuration: Configuration, configs: Configs) -> Iterator[Problem]:
    """Names in the output configuration that the basemodel does not have: each section is checked by itself."""
    for name, config in sections_of(configs.output):
        if message := _contradiction(configs.basemodel, _NO_MODELSET, config):
            yield configuration.output.problem(message, ("output", *name.split(".")))


def _contradiction(basemodel: Any, modelset: Any, output: Any = None) -> str:
    """The message of the package's cross-check; empty if it passes."""
    check = importlib.import_module(f"{NAME}.schema.general").validate_cross_config_consistency
    try:
        check(basemodel, modelset, output)
    except ValueError as error:
        return str(error)
    return ""


def _refused(part: Part, error: ValidationError) -> Iterator[Problem]:
    """One problem per path: a value of a union type has one error for each member of the union."""
    found: dict[KeyPath, list[str]] = {}
    document = part.document
    for detail in error.errors(include_url=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        found.setdefault(_known(document, detail["loc"]), []).append(message)
    for path, messages in found.items():
        yield part.problem(", or: ".join(dict.fromkeys(messages)), path)


def _known(value: Any, path: Iterable[str | int]) -> KeyPath:
    """The steps of a pydantic ``loc`` that exist in the document; others are names of union members."""
    known: list[str | int] = []
    for step in path:
        is_there = step in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(step, int)
        if is_there:
            known.append(step)
            value = value[step]
    return tuple(known)


def _file_problems(part: Part, folder: Path) -> Iterator[Problem]:
    """Data files that do not exist; the package opens them by relative path."""
    root = folder.resolve()
    for path, name in named_paths(part.document):
        file = (root / name).resolve()
        if fault := name_fault(name):
            yield part.problem(fault, path)
        elif not file.is_relative_to(root) or not file.is_file():
            yield part.problem(f"there is no file {name!r} in the bundle or the repository", path)
        elif _is_pointer(file):
            hint = "commit the file itself, or put it into a bundle"
            yield part.problem(
                f"{name!r} is a pointer to Git LFS, whose content is not fetched with the repository", path, hint
            )


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_LFS_POINTER)) == _LFS_POINTER


def _population_problems(part: Part) -> Iterator[Problem]:
    """Duplicates, and names that are not location codes: for some the package would only report an IndexError."""
    from epymodelingsuite.utils import convert_location_name_format, validate_iso3166  # noqa: PLC0415

    given = part.document.get("modelset", {}).get("population_names") if part.part == "modelset" else None
    names: list[Any] = given if isinstance(given, list) else []
    for position, name in enumerate(names):
        path = ("modelset", "population_names", position)
        if name in names[:position]:
            yield part.problem(f"{name!r} is listed twice", path)
        elif name != "all":
            try:
                convert_location_name_format(validate_iso3166(name), "epydemix_population")
            except Exception:  # noqa: BLE001 - any error means an unknown code
                yield part.problem(f"{name!r} is not a location code that the package knows, such as US-MA", path)
