"""Lays what a bundle carries into a folder, over what is there; a bundle can never write outside of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from epydrop.errors import IntegrityError
from epydrop.experiment.bundle.archive import members
from epydrop.formats.names import DROPPED, INPUTS
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.checksums import sha256_of

_CHUNK = 1 << 20


def take_bundle(store: ObjectStore, workspace: Path) -> dict[str, str]:
    """Lays a dropped bundle's members into the workspace, and into ``inputs/`` for people to see.

    Returns the bundle's sha256 under its name; nothing when a lone YAML was dropped. Raises BadInput if the bundle
    breaks a rule or is damaged.
    """
    digests = {}
    for bundle in _bundles(store):
        digests[bundle] = sha256_of(store, bundle)
        for name, path in _laid(store, bundle, workspace):
            with path.open("rb") as file, store.open_write(INPUTS + name) as target:
                shutil.copyfileobj(file, target, _CHUNK)
    return digests


def lay_bundle(store: ObjectStore, workspace: Path, digests: Mapping[str, str]) -> None:
    """Lays the same members into another workspace. Raises IntegrityError if it is not the bundle with that sha256."""
    for bundle in _bundles(store):
        if digests.get(bundle) != sha256_of(store, bundle):
            raise IntegrityError(f"{bundle} is not the bundle that the manifest speaks of")
        for _ in _laid(store, bundle, workspace):
            pass


def _bundles(store: ObjectStore) -> list[str]:
    return [info.name for info in store.list(DROPPED) if info.name.endswith(".zip")]


def _laid(store: ObjectStore, bundle: str, workspace: Path) -> Iterator[tuple[str, Path]]:
    """Each member's name and its path in the workspace, once it is there."""
    with store.open_read(bundle) as stream:
        for name, member in members(stream, bundle.removeprefix(DROPPED)):
            path = workspace / name
            _make_way(path, workspace)
            with path.open("wb") as file:
                shutil.copyfileobj(member, file, _CHUNK)
            yield name, path


def _make_way(path: Path, workspace: Path) -> None:
    """Folders for the path; what a repository has in their place, or in its own, goes, and no link is followed."""
    for parent in reversed(path.relative_to(workspace).parents[:-1]):
        folder = workspace / parent
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
