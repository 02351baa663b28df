"""The files of a configuration: basemodel, modelset and output, found where the experiment says or by their structure.

Knows how the files are told apart, and where they may lie; what stands in them is checked elsewhere.
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
from epydrop_stages.inputs.problem_locations import placed

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
    """One of the three. ``name`` is the file, or empty when its content stands in the experiment itself."""

    part: str
    name: str
    text: bytes
    source: Source

    @property
    def document(self) -> dict[str, Any]:
        """What stands in it; a new copy each time."""
        return self.source.plain()

    @property
    def kind(self) -> str:
        """'basemodel', 'calibration', 'sampling' or 'output'."""
        return kind_of(self.document) or ""

    def at(self, *path: str) -> Any:
        """The value at a path, or None if there is none."""
        value: Any = self.document
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def problem(self, message: str, path: tuple[str | int, ...] = (), hint: str = "") -> Problem:
        """A problem with it, at the path, or else where the words of the message stand."""
        if not self.name:
            dotted = ".".join(map(str, (self.part, *path)))
            return Problem(f"config: {dotted}: {message}", hint=hint)
        if path:
            return self.source.key_place(path).problem(f"{'.'.join(map(str, path))}: {message}", hint)
        found = placed(Problem(message, hint=hint), self.source)
        return found if found.line else self.source.place(()).problem(message, hint)


@dataclass(frozen=True)
class Configuration:
    """What the package is to be called with."""

    basemodel: Part
    modelset: Part | None
    output: Part

    def __iter__(self) -> Iterator[Part]:
        return (part for part in (self.basemodel, self.modelset, self.output) if part)


def kind_of(document: Mapping[str, Any]) -> str | None:
    """What kind of file this is, by its structure: the package's own rule."""
    modelset = document.get("modelset")
    if isinstance(modelset, Mapping):
        for kind in ("calibration", "sampling"):
            if kind in modelset:
                return kind
    return "basemodel" if "model" in document else "output" if "output" in document else None


def part_of(document: Mapping[str, Any]) -> str | None:
    """Which of the three a file is."""
    kind = kind_of(document)
    return "modelset" if kind in {"calibration", "sampling"} else kind


def find(experiment: Experiment, folder: Path) -> Configuration:
    """The configuration of an experiment whose files lie in the folder. Raises BadInput with every problem."""
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
    """The part that the experiment names or holds, or that lies in the folder it names, or in one of the usual ones."""
    if value is None:
        return search.one(part, search.folders())
    if isinstance(value, Mapping):
        found = Part(part, "", write_yaml(dict(value)), source_of(value, f"config.{part}"))
    else:
        name = normal_name(value)
        path = search.root / name
        if not path.resolve().is_relative_to(search.root.resolve()):
            raise BadInput(Problem(f"config: {part}: {value!r} lies outside of the experiment's files"))
        if path.is_dir():
            return search.one(part, [name]) or _none(part, name)
        if not path.is_file():
            raise BadInput(Problem(f"config: {part}: there is no file {value!r} in the bundle or the repository"))
        found = _read(name, path)
    if part_of(found.document) != part:
        raise BadInput(found.problem(f"this is no {part} file: it needs {_TOPS[part]}"))
    return found


def _none(part: str, folder: str) -> Part:
    hint = f"one has {_TOPS[part]}"
    raise BadInput(Problem(f"config: {part}: there is no {part} file in the folder {folder!r}", hint=hint))


def _read(name: str, path: Path) -> Part:
    text = path.read_bytes()
    source = read_source(text, name)
    return Part(part_of(source.plain()) or "", name, text, source)


class _Search:
    """Looks for configuration files by their structure; names of files mean nothing."""

    def __init__(self, exp_id: str, root: Path) -> None:
        self.root = root
        self._exp_id = exp_id
        self._unreadable: dict[str, Problem] = {}

    def folders(self) -> list[str]:
        """Where the files of an experiment may lie: in a repository by its id, in a bundle at the top."""
        last = self._exp_id.rsplit("/", 1)[-1]
        deeper = sorted(
            path.relative_to(self.root).as_posix() for path in self.root.glob(f"experiments/*/{last}/config")
        )
        own = [f"experiments/{self._exp_id}/config", f"experiments/{self._exp_id}", f"experiments/{last}/config"]
        return list(dict.fromkeys([*own, *deeper, "config", "."]))

    def one(self, part: str, folders: list[str]) -> Part | None:
        """The only such file in these folders, or None. Raises BadInput if there are several."""
        found = [file for folder in folders for file in self._in(folder) if file.part == part]
        if part == "output" and len(found) > 1:  # others are for later, when other outputs are asked for
            found = [file for file in found if Path(file.name).name in _PREFERRED] or found
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            hint = f"name one of them: config: {{{part}: {found[0].name}}}"
            raise BadInput(Problem(f"config: there are {len(found)} {part} files: {names}", hint=hint))
        return found[0] if found else None

    def missing(self, part: str) -> Problem:
        """Says where such a file was looked for, and what lay there and could not be read."""
        message = f"config: no {part} file was found: a YAML file with {_TOPS[part]}"
        looked = f"drop it together with the experiment, in a folder or .zip; looked in {', '.join(self.folders())}"
        unreadable = "; ".join(f"could not be read: {problem}" for problem in self._unreadable.values())
        return Problem(message, hint=f"{looked}; {unreadable}" if unreadable else looked)

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
