"""Shortens matplotlib's SVG, so that a page can hold many of them: text in, text out."""

from __future__ import annotations

import re

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_DROPPED = re.compile(
    r"<metadata>.*?</metadata>"
    r'|(?<=<g) id="[^"]*"'  # repeated in every figure, which is invalid in one page; nothing refers to them
    r'| transform="rotate\(-0 [^"]*"'
    r'| ?font-family: [^;"]*;?',  # set once, on the <svg> element
    re.DOTALL,
)
_PLACES = re.compile(r'(?<= )(d|x|y|points|transform)="([^"]*)"')
_DECIMALS = re.compile(r"-?\d+\.\d{2,}")  # rounded to a tenth of a point, less than a pixel


def shortened(svg: str) -> str:
    """The <svg> element alone, with fewer decimals, and without a fixed size so that it fills its container."""
    svg = _DROPPED.sub("", svg[svg.index("<svg") :])
    svg = _PLACES.sub(_rounded, svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg.strip())
    svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
    return svg.replace("<svg", f'<svg font-family="{FONT}"', 1)


def without_title(svg: str, height: float) -> str:
    """``shortened`` without the element with the id 'title' and without the ``height`` points at the top for it."""
    svg = re.sub(r'<g id="title">.*?</g>', "", svg, flags=re.DOTALL)
    return re.sub(
        r'viewBox="0 0 (\S+) (\S+)"',
        lambda box: f'viewBox="0 {height:g} {box[1]} {float(box[2]) - height:g}"',
        shortened(svg),
        count=1,
    )


def _rounded(attribute: re.Match[str]) -> str:
    name, value = attribute[1], _DECIMALS.sub(lambda number: f"{float(number[0]):.1f}", attribute[2])
    if name == "d":
        value = re.sub(r"\s*([A-Za-z])\s*", r"\1", value).strip()
    return f'{name}="{value}"'
