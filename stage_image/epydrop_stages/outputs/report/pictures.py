"""The pictures of a page: what is kept of each, and how their files are named."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "figures/"

_LONGEST = 80  # characters of a name's part


@dataclass(frozen=True)
class Picture:
    """One figure of a point. ``name`` is that of its files without suffix."""

    name: str
    kind: str  # 'fan', 'infections' or 'posterior'
    scenario: str = ""


def inline_path(workspace: Path, name: str) -> Path:
    """Where the <svg> for the page waits until the page is written."""
    return workspace / FOLDER / f"{name}.inline"


def safe_name(text: str) -> str:
    """The text as part of a file's or object's name: ``[A-Za-z0-9._-]``, at most 80 characters.

    A text that does not survive unchanged ends in a short digest of itself, so two texts never share a name.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")
    if kept == text and len(kept) <= _LONGEST:
        return kept
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{kept[:_LONGEST]}-{digest}" if kept else digest


def point_name(location: str, parameters: Mapping[str, Any], index: int) -> str:
    """The stem of a point's pictures: its location, and its first task where parameters tell it from others."""
    return f"{safe_name(location)}-task-{index}" if parameters else safe_name(location)
