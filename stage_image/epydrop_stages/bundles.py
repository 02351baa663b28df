"""Unpacks what a bundle carries; a bundle can never write outside its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from epydrop.experiment.bundle import members
from epydrop.names import INPUTS
from epydrop.ports import ObjectStore

_DROPPED = "dropped/"


def unpack(store: ObjectStore, workspace: Path) -> None:
    """Copies a dropped bundle's members into the workspace, and to ``inputs/`` for people to see.

    Nothing happens when a lone YAML was dropped. Raises BadInput if the bundle breaks a rule or is damaged.
    """
    for info in list(store.list(_DROPPED)):
        if info.name.endswith(".zip"):
            with store.open_read(info.name) as stream:
                for name, member in members(stream, info.name.removeprefix(_DROPPED)):
                    path = workspace / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("wb") as file:
                        shutil.copyfileobj(member, file, 1 << 20)
                    with path.open("rb") as file, store.open_write(INPUTS + name) as target:
                        shutil.copyfileobj(file, target, 1 << 20)
