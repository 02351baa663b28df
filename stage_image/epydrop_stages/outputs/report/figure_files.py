"""The files of figures: how they are named, how they are written, and which of them the page shows."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epydrop_stages.contract.suite import Output

if TYPE_CHECKING:  # matplotlib: the page is written without it if nothing is drawn
    from epydrop_stages.outputs.report.figures.style import Drawing

_FOLDER = "figures/"
_LONGEST = 80  # characters of one part of a name


@dataclass(frozen=True)
class PointFigure:
    """One figure of a point. ``name``: that of its files without suffix; ``kind``: 'fan', 'infections', 'posterior'."""

    name: str
    kind: str
    scenario: str = ""


class PageFigures:
    """The figures that the page shows: their <svg> elements, and the files beside the page."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._names: dict[str, None] = {}  # an ordered set

    def show(self, name: str) -> dict[str, str]:
        """A saved figure for a template: ``svg`` is its element, ``file`` the path of its files without suffix."""
        self._names[name] = None
        return {"svg": _inline_path(self._workspace, name).read_text(encoding="utf-8"), "file": _FOLDER + name}

    def draw(self, name: str, alt_text: str, drawing: Drawing) -> dict[str, str]:
        """Saves a figure of the whole run, and shows it."""
        save_figure(self._workspace, name, alt_text, drawing)
        return self.show(name)

    def outputs(self) -> list[Output]:
        """The files of all figures that were shown, by name."""
        files = [f"{_FOLDER}{name}.{suffix}" for name in self._names for suffix in ("png", "svg")]
        return [Output(name, self._workspace / name) for name in sorted(files)]


def save_figure(workspace: Path, name: str, alt_text: str, drawing: Drawing, small: Drawing | None = None) -> None:
    """Writes the PNG and SVG files of a figure, and the <svg> for the page: that of ``small`` if there is one."""
    stem = workspace / _FOLDER / name
    stem.parent.mkdir(exist_ok=True)
    svg = f'<?xml version="1.0" encoding="utf-8"?>\n{_labelled(drawing.svg(), alt_text)}\n'
    stem.with_name(f"{name}.svg").write_text(svg, encoding="utf-8")
    stem.with_name(f"{name}.png").write_bytes(drawing.png())
    inline = _labelled((small or drawing).inline(), alt_text)
    _inline_path(workspace, name).write_text(inline, encoding="utf-8")


def safe_name(text: str) -> str:
    """The text as part of a file or object name: ``[A-Za-z0-9._-]``, at most 80 characters.

    A text that had to be changed gets a short digest of itself appended, so that two texts never share a name.
    """
    # São Paulo becomes Sao Paulo rather than S-o Paulo.
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")
    if safe == text and len(safe) <= _LONGEST:
        return safe
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{safe[:_LONGEST]}-{digest}" if safe else digest


def point_stem(location: str, parameters: Mapping[str, Any], index: int) -> str:
    """The start of the names of a point's figures: its location, and its first task if parameters vary."""
    return f"{safe_name(location)}-task-{index}" if parameters else safe_name(location)


def _inline_path(workspace: Path, name: str) -> Path:
    """Where the <svg> element is kept until the page is written."""
    return workspace / _FOLDER / f"{name}.inline"


def _labelled(svg: str, alt_text: str) -> str:
    """The <svg> element with a label for screen readers."""
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt_text, quote=True)}"', 1)
