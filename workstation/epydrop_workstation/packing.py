"""A local file or folder to what is dropped: the file itself, or a bundle of an experiment and its data files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from epydrop.errors import BadInput, Problem
from epydrop.experiment.bundle.archive import members, open_bundle
from epydrop.experiment.bundle.rules import EXPERIMENT_NAMES, MAX_UNPACKED
from epydrop.experiment.data_files import name_fault, named_paths, normal_name
from epydrop.experiment.reading import experiment_of, referenced_files
from epydrop.experiment.schema import Experiment
from epydrop.experiment.text.source import read_source
from epydrop.experiment.text.yaml_writer import write_yaml
from epydrop.formats import names

# Fixed times and modes, so that the same content always gives the same bytes: a run is found again by their MD5.
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can store
_UNIX = 3  # the zip format's number of the system whose modes follow
_PLAIN_FILE = 0o100644


def pack(path: Path, settings: Sequence[str] = ()) -> tuple[str, bytes]:
    """The name and the bytes to drop for an experiment; the same content always gives the same bytes.

    A YAML file that needs no data is dropped as it is, else in a zip with its data. A zip is dropped as it is unless
    there are settings. A folder becomes a zip of all its files. Raises BadInput with all problems.
    """
    if path.is_dir():
        name = f"{path.resolve().name}.zip"
        return name, _bundle(name, path, _zipped(_all_below(path), path), settings)
    _size(path)  # first of all, because "no such file" is more helpful than a complaint about the suffix
    if not path.name.endswith(names.EXPERIMENT_SUFFIXES):
        raise BadInput(Problem("expected a folder, or a file that ends in .yaml, .yml or .zip", str(path)))
    data = _read(path)
    if path.name.endswith(".zip"):
        return path.name, _bundle(path.name, path, data, settings)
    source = read_source(data, str(path), settings)
    experiment = experiment_of(source, path.stem, lambda name: _why_missing(path.parent, name))
    if settings:
        data = write_yaml(source.plain())
    named = set(referenced_files(experiment).values())
    named |= {name for config in _config_files(experiment) for name in _named_in(path.parent / config)}
    files = sorted(name for name in named if (path.parent / name).is_file())
    if not files:
        return path.name, data
    contents = {EXPERIMENT_NAMES[0]: data}
    for name in files:
        if name.casefold() in EXPERIMENT_NAMES:
            raise BadInput(Problem(f"a data file cannot be named '{name}'", str(path), hint="rename it"))
        contents[name] = _read(path.parent / name)
    return f"{path.stem}.zip", _zipped(contents, path)


def _config_files(experiment: Experiment) -> list[str]:
    """The configuration files of epymodelingsuite that the experiment refers to."""
    parts = experiment.config.model_dump().values() if experiment.config else ()
    return [normal_name(part) for part in parts if isinstance(part, str)]


def _named_in(path: Path) -> list[str]:
    """The data files that a configuration file refers to. Invalid ones are left out: the builder reports them."""
    try:
        document = read_source(_read(path), str(path)).plain() if path.is_file() else {}
    except BadInput:
        return []
    return [normal_name(name) for _, name in named_paths(document) if not name_fault(name)]


def _bundle(name: str, path: Path, data: bytes, settings: Sequence[str]) -> bytes:
    """The bundle as it is, or with the settings written into its experiment."""
    bundle = open_bundle(io.BytesIO(data), len(data), str(path))
    source = read_source(bundle.experiment, bundle.experiment_name, settings)
    experiment_of(source, Path(name).stem, bundle.why_missing)
    if not settings:
        return data
    contents = {member: stream.read() for member, stream in members(io.BytesIO(data), str(path))}
    return _zipped({**contents, bundle.experiment_name: write_yaml(source.plain())}, path)


def _all_below(folder: Path) -> dict[str, bytes]:
    """The content of every file, by its name in the bundle."""
    files = list(_files_below(folder))
    _check_size(sum(map(_size, files)), folder)
    return {file.relative_to(folder).as_posix(): _read(file) for file in files}


def _files_below(folder: Path) -> Iterator[Path]:
    """All files except hidden ones, Python's caches, and folders of runs, which `epydrop run` makes in this folder."""
    seen: set[Path] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _is_left_out(Path(here, name))]
        if Path(here).resolve() in seen:  # a link to a folder that was visited already
            folders[:] = []
            continue
        seen.add(Path(here).resolve())
        yield from (Path(here, name) for name in files if not name.startswith("."))


def _is_left_out(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name == "__pycache__" or (folder / names.LOCAL_STATE).is_dir()


def _check_size(size: int, path: Path) -> None:
    if size > MAX_UNPACKED:
        raise BadInput(Problem(f"the experiment and its data have more than {MAX_UNPACKED} bytes together", str(path)))


def _why_missing(folder: Path, name: str) -> str:
    try:
        return "" if (folder / name).is_file() else f"there is no file {folder / name}"
    except OSError as error:
        return f"{folder / name} cannot be read: {error.strerror}"


def _read(path: Path) -> bytes:
    with _readable(path):
        return path.read_bytes()


def _size(path: Path) -> int:
    with _readable(path):
        return path.stat().st_size


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(Problem(f"cannot be read: {error.strerror}", str(path))) from error


def _zipped(contents: dict[str, bytes], path: Path) -> bytes:
    from zipfile import ZipFile, ZipInfo  # noqa: PLC0415 - lazy: only for an experiment with data

    _check_size(sum(map(len, contents.values())), path)
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for name, data in sorted(contents.items()):
            entry = ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _PLAIN_FILE << 16
            archive.writestr(entry, data)  # not compressed: zlib's output differs between versions
    return stream.getvalue()
