"""Finds the files of a configuration (basemodel, modelset, output): where the experiment says, or by their structure.

Knows how to distinguish the files and where they may be; ``config_validation`` checks their content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epydrop.errors import BadInput, Problem
from epydrop.experiment import Experiment
from epydrop.experiment.data_files import normal_name
from epydrop.experiment.text.source import Source, read_source, source_of
from epydrop.experiment.text.yaml_writer import write_yaml

PARTS = ("basemodel", "modelset", "output")

_TOPS = {
    "basemodel": "'model' at its top",
    "modelset": "'modelset' at its top, and in it 'calibration' or 'sampling'",
    "output": "'output' at its top",
}
_SUFFIXES = {".yaml", ".yml"}
_EXPERIMENT = {"experiment.yaml", "experiment.yml"}
_PREFERRED = {"output.yaml", "output.yml"}


@dataclass(frozen=True)
class Part:
    """One part of the configuration. ``name`` is its file, or empty if its content is inline in the experiment."""

    part: str
    name: str
    text: bytes
    source: Source

    @property
    def document(self) -> dict[str, Any]:
        """The content as plain values; a new copy each time."""
        return self.source.plain()

    @property
    def kind(self) -> str:
        """'basemodel', 'calibration', 'sampling' or 'output'."""
        return kind_of(self.document) or ""

    def at(self, *path: str) -> Any:
        """The value at a path, or None."""
        value: Any = self.document
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def problem(self, message: str, path: tuple[str | int, ...] = (), hint: str = "") -> Problem:
        """A problem at a path, with the line in its file or, if it is inline, the path in the experiment."""
        if not self.name:
            inline = ("config", self.part, *path)
            return Problem(f"config: {'.'.join(map(str, inline[1:]))}: {message}", hint=hint, path=inline)
        prefix = f"{'.'.join(map(str, path))}: " if path else ""
        return self.source.key_place(path).problem(f"{prefix}{message}", hint)


@dataclass(frozen=True)
class Configuration:
    """The parts to call the package with."""

    basemodel: Part
    modelset: Part | None
    output: Part

    def __iter__(self) -> Iterator[Part]:
        return (part for part in (self.basemodel, self.modelset, self.output) if part)


def kind_of(document: Mapping[str, Any]) -> str | None:
    """The kind of file, by its structure; this is the package's own rule."""
    modelset = document.get("modelset")
    if isinstance(modelset, Mapping):
        for kind in ("calibration", "sampling"):
            if kind in modelset:
                return kind
    return "basemodel" if "model" in document else "output" if "output" in document else None


def part_of(document: Mapping[str, Any]) -> str | None:
    """The part that a file is, or None."""
    kind = kind_of(document)
    return "modelset" if kind in {"calibration", "sampling"} else kind


def find(experiment: Experiment, folder: Path) -> Configuration:
    """Find the configuration of an experiment among the files in ``folder``. Raises BadInput with all problems."""
    search = _Search(experiment.exp_id, folder)
    given = experiment.config.model_dump() if experiment.config else {}
    problems: list[Problem] = []
    found: dict[str, Part | None] = {}
    for part in PARTS:
        try:
            found[part] = _given(part, given.get(part), search)
        except BadInput as error:
            problems.extend(error.problems)
    if problems:
        raise BadInput(*problems)
    basemodel, output = found["basemodel"], found["output"]
    if basemodel is None or output is None:
        raise BadInput(*(search.missing(part) for part in ("basemodel", "output") if found[part] is None))
    return Configuration(basemodel, found["modelset"], output)


def _given(part: str, value: str | Mapping[str, Any] | None, search: _Search) -> Part | None:
    """The part that the experiment names or contains, or the one in the folder it names or a usual folder."""
    if value is None:
        return search.one(part, search.folders())
    if isinstance(value, Mapping):
        found = Part(part, "", write_yaml(dict(value)), source_of(value, f"config.{part}"))
    else:
        name = normal_name(value)
        path = search.root / name
        if not path.resolve().is_relative_to(search.root.resolve()):
            raise BadInput(_problem(f"{part}: {value!r} is outside of the experiment's files", part))
        if path.is_dir():
            return search.one(part, [name]) or _none(part, name)
        if not path.is_file():
            raise BadInput(_problem(f"{part}: there is no file {value!r} in the bundle or the repository", part))
        found = _read(name, path)
    if part_of(found.document) != part:
        raise BadInput(found.problem(f"this cannot be the {part}: it needs {_TOPS[part]}"))
    return found


def _none(part: str, folder: str) -> Part:
    message = f"{part}: there is no {part} file in the folder {folder!r}"
    raise BadInput(_problem(message, part, hint=f"it has {_TOPS[part]}"))


def _problem(message: str, *path: str, hint: str = "") -> Problem:
    return Problem(f"config: {message}", hint=hint, path=("config", *path))


def _read(name: str, path: Path) -> Part:
    text = path.read_bytes()
    source = read_source(text, name)
    return Part(part_of(source.plain()) or "", name, text, source)


class _Search:
    """Looks for configuration files by their structure; their names do not matter."""

    def __init__(self, exp_id: str, root: Path) -> None:
        self.root = root
        self._exp_id = exp_id
        self._unreadable: dict[str, Problem] = {}

    def folders(self) -> list[str]:
        """Folders that may hold an experiment's files: named by its id in a repository, the top in a bundle."""
        last = self._exp_id.rsplit("/", 1)[-1]
        deeper = sorted(
            path.relative_to(self.root).as_posix() for path in self.root.glob(f"experiments/*/{last}/config")
        )
        own = [f"experiments/{self._exp_id}/config", f"experiments/{self._exp_id}", f"experiments/{last}/config"]
        return list(dict.fromkeys([*own, *deeper, "config", "."]))

    def one(self, part: str, folders: list[str]) -> Part | None:
        """The only file of this part in these folders, or None. Raises BadInput if there are several."""
        found = [file for folder in folders for file in self._in(folder) if file.part == part]
        if part == "output" and len(found) > 1:  # the others are for ``rerun-output``
            found = [file for file in found if Path(file.name).name in _PREFERRED] or found
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            hint = f"name one of them: config: {{{part}: {found[0].name}}}"
            raise BadInput(_problem(f"there are {len(found)} {part} files: {names}", part, hint=hint))
        return found[0] if found else None

    def missing(self, part: str) -> Problem:
        """The problem of a missing part: the folders searched, and the files there that could not be read."""
        message = f"no {part} file was found: a YAML file with {_TOPS[part]}"
        looked = f"drop it together with the experiment, in a folder or .zip; looked in {', '.join(self.folders())}"
        unreadable = "; ".join(f"could not be read: {problem}" for problem in self._unreadable.values())
        return _problem(message, part, hint=f"{looked}; {unreadable}" if unreadable else looked)

    def _in(self, folder: str) -> Iterator[Part]:
        here = self.root / folder
        for path in sorted(here.iterdir()) if here.is_dir() else ():
            name = path.relative_to(self.root).as_posix()
            is_yaml = path.suffix.lower() in _SUFFIXES and path.is_file()
            if not is_yaml or name in _EXPERIMENT or not path.resolve().is_relative_to(self.root.resolve()):
                continue
            try:
                yield _read(name, path)
            except BadInput as error:
                self._unreadable[name] = error.problems[0]
