"""Unpacks a dropped bundle into a folder, replacing what is there; nothing is ever written outside of the folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from epydrop.errors import IntegrityError
from epydrop.experiment.bundle.archive import members
from epydrop.formats.names import DROPPED, INPUTS
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.checksums import sha256_and_md5_of_stream, sha256_of_stream

_CHUNK = 1 << 20


def unpack_and_store_bundle(store: ObjectStore, workspace: Path, dropped_md5: str) -> dict[str, str]:
    """Unpack a dropped bundle into the workspace, and into the run's ``inputs/`` for people to look at.

    Returns object -> SHA-256 in hex; empty if a single YAML file was dropped. Raises BadInput if the bundle breaks a
    rule or is damaged; IntegrityError if its MD5, in base64, is not that of the dropped file, unless that is unknown.
    """
    digests = {}
    for bundle in _bundles(store):
        with store.open_read(bundle) as stream:
            digests[bundle], md5 = sha256_and_md5_of_stream(stream)
            if dropped_md5 and md5 != dropped_md5:
                raise IntegrityError(f"{bundle} was altered: it is not the file that was dropped; drop it again")
            for name, path in _unpacked(stream, bundle, workspace):
                with path.open("rb") as file, store.open_write(INPUTS + name) as target:
                    shutil.copyfileobj(file, target, _CHUNK)
    return digests


def unpack_bundle(store: ObjectStore, workspace: Path, digests: Mapping[str, str]) -> None:
    """Unpack the bundle into another workspace. Raises IntegrityError if its SHA-256 is not the one in ``digests``."""
    for bundle in _bundles(store):
        with store.open_read(bundle) as stream:
            if digests.get(bundle) != sha256_of_stream(stream):
                raise IntegrityError(f"{bundle} is not the bundle listed in the manifest")
            for _ in _unpacked(stream, bundle, workspace):
                pass


def _bundles(store: ObjectStore) -> list[str]:
    return [info.name for info in store.list(DROPPED) if info.name.endswith(".zip")]


def _unpacked(stream: BinaryIO, bundle: str, workspace: Path) -> Iterator[tuple[str, Path]]:
    """Write each member into the workspace; yields its name and path. ``stream`` is the one that was verified."""
    stream.seek(0)
    for name, member in members(stream, bundle.removeprefix(DROPPED)):
        path = workspace / name
        _clear(path, workspace)
        with path.open("wb") as file:
            shutil.copyfileobj(member, file, _CHUNK)
        yield name, path


def _clear(path: Path, workspace: Path) -> None:
    """Create the folders of the path and remove what the repository has in its place, without following links."""
    for parent in reversed(path.relative_to(workspace).parents[:-1]):
        folder = workspace / parent
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
