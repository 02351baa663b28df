"""Makes matplotlib's SVG light enough for a page with many of them; text in, text out."""

from __future__ import annotations

import re

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_DROPPED = re.compile(
    r"<metadata>.*?</metadata>"
    r'|(?<=<g) id="[^"]*"'  # these repeat from figure to figure, and nothing refers to them
    r'| transform="rotate\(-0 [^"]*"'
    r'| ?font-family: [^;"]*;?',  # said once, on the <svg>
    re.DOTALL,
)
_PLACES = re.compile(r'(?<= )(d|x|y|points|transform)="([^"]*)"')
_FINE = re.compile(r"-?\d+\.\d{2,}")  # a tenth of a point is a fifth of a pixel


def slim(svg: str) -> str:
    """The <svg> element alone, which fills the width it is given; no fixed size, no fonts, no hundredths of a point."""
    svg = _DROPPED.sub("", svg[svg.index("<svg") :])
    svg = _PLACES.sub(_rounded, svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg.strip())
    svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
    return svg.replace("<svg", f'<svg font-family="{FONT}"', 1)


def without_title(svg: str, height: float) -> str:
    """The same without the text of the id 'title' and the points at the top that it stands in."""
    svg = re.sub(r'<g id="title">.*?</g>', "", svg, flags=re.DOTALL)
    return re.sub(
        r'viewBox="0 0 (\S+) (\S+)"',
        lambda box: f'viewBox="0 {height:g} {box[1]} {float(box[2]) - height:g}"',
        slim(svg),
        count=1,
    )


def _rounded(attribute: re.Match[str]) -> str:
    name, value = attribute[1], _FINE.sub(lambda number: f"{float(number[0]):.1f}", attribute[2])
    if name == "d":
        value = re.sub(r"\s*([A-Za-z])\s*", r"\1", value).strip()
    return f'{name}="{value}"'
