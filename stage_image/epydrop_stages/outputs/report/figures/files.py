"""The files of a figure: PNG and SVG to be used anywhere, and the <svg> that stands in the page."""

from __future__ import annotations

from html import escape
from pathlib import Path

from epydrop_stages.outputs.report.figures.style import Drawing
from epydrop_stages.outputs.report.pictures import FOLDER, inline_path


def keep(workspace: Path, name: str, words: str, whole: Drawing, small: Drawing | None = None) -> None:
    """Writes all of them. ``words`` say what is seen; the page gets ``small`` if there is one."""
    stem = workspace / FOLDER / name
    stem.parent.mkdir(exist_ok=True)
    stem.with_name(f"{name}.svg").write_text(_standalone(_described(whole.svg(), words)), encoding="utf-8")
    stem.with_name(f"{name}.png").write_bytes(whole.png())
    inline_path(workspace, name).write_text(_described((small or whole).inline(), words), encoding="utf-8")


def _described(svg: str, words: str) -> str:
    """An <svg> that says what it shows to those who do not see it."""
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(words, quote=True)}"', 1)


def _standalone(svg: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg}\n'
