"""The pages for people: which there are, and what in them can be compared with the code."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator

from support.paths import ROOT

_FOUND = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
PAGES = {path: path.read_text() for path in sorted(_FOUND)}


def yaml_blocks(page: str) -> list[str]:
    """The YAML documents of a page."""
    return re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def links(page: str) -> list[str]:
    """Where the page's links within the project lead, from its own folder."""
    return [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page) if "://" not in link]


def code_spans(page: str) -> list[str]:
    """What stands between single backticks, outside of code blocks; a line break counts as a space."""
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def commands(page: str, program: str) -> list[list[str]]:
    """The words after the program's name, for each call of it in code of the page."""
    calls = [line for line in _shell_lines(page) if re.match(rf"(\S*/)?{program}(\s|$)", line)]
    return [shlex.split(call, comments=True)[1:] for call in calls]


def _shell_lines(page: str) -> Iterator[str]:
    """Indented blocks, fenced blocks of shell and code spans, with the commands around '&&' taken apart."""
    fenced = re.findall(r"^ *```(?:sh)?\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4,}(.*)$", page, re.MULTILINE)
    for line in [*textwrap.dedent("\n".join(fenced)).splitlines(), *indented, *code_spans(page)]:
        yield from (part.strip() for part in line.split("&&"))
