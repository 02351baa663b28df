"""What a bundle may hold: rules for the entries in a zip's directory. Reads nothing but the entries."""

from __future__ import annotations

import re
import stat
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from epydrop.errors import BadInput, Problem
from epydrop.experiment.text.source import first_of
from epydrop.experiment.text.wording import short

if TYPE_CHECKING:
    from zipfile import ZipInfo

MAX_UNPACKED = 2 * 1024**3
MAX_MEMBERS = 10_000
MAX_PART = 255  # bytes of a file's or folder's name, a limit of all common file systems
MAX_FOLDERS = 20  # also bounds the work per name in _parents
EXPERIMENT_NAMES = ("experiment.yaml", "experiment.yml")

_ENCRYPTED = 0x1
_STORED, _DEFLATED = 0, 8


def check_entries(entries: list[ZipInfo], file: str, max_unpacked: int) -> list[ZipInfo]:
    """The entries that are files, not folders. Raises BadInput with every broken rule."""
    problems = [*_size_problems(entries, max_unpacked)]
    files = {_folded(entry) for entry in entries if not entry.is_dir()}
    seen: set[str] = set()
    for entry in entries:
        folded = _folded(entry)
        problem = _name_problem(entry.orig_filename) or _type_problem(entry)
        if folded in seen:
            problem = problem or "is in the bundle twice (upper and lower case count as equal)"
        elif any(parent in files for parent in _parents(folded)):
            problem = problem or "is in a folder that is also a file"
        seen.add(folded)
        if problem:
            problems.append(f"{short(repr(entry.orig_filename))} {problem}")
    if problems:
        raise BadInput(*first_of([Problem(message, file) for message in problems]))
    return [entry for entry in entries if not entry.is_dir()]


def _folded(entry: ZipInfo) -> str:
    """The name as macOS and Windows compare it: one of two names that differ only in case would overwrite the other."""
    return unicodedata.normalize("NFC", entry.orig_filename).casefold().rstrip("/")


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:count]) for count in range(1, min(len(parts), MAX_FOLDERS)))


def _size_problems(entries: list[ZipInfo], max_unpacked: int) -> Iterator[str]:
    if len(entries) > MAX_MEMBERS:
        yield f"the bundle has {len(entries)} entries; at most {MAX_MEMBERS} are allowed"
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max_unpacked:
        yield f"the bundle would unpack to {unpacked} bytes; at most {max_unpacked} are allowed"


def _name_problem(name: str) -> str:
    parts = name.removesuffix("/").split("/")
    if "\\" in name or re.match(r"[A-Za-z]:", name):
        return "is a Windows path: use '/' between folders, and no drive"
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the bundle"
    if any(part in {"", "."} for part in parts) or not name.isprintable():
        return "is not a valid file name"
    if any(len(part.encode()) > MAX_PART for part in parts) or len(parts) > MAX_FOLDERS:
        return "is too long"
    return ""


def _type_problem(entry: ZipInfo) -> str:
    # The upper half of the attributes are Unix modes; zips from Windows have 0 there.
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link" if kind == stat.S_IFLNK else "is neither a file nor a folder"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in {_STORED, _DEFLATED}:
        return "uses a compression method other than 'deflate'"
    return ""


def experiment_name(entries: list[ZipInfo], file: str) -> str:
    """The name of the experiment file at the top. Raises BadInput unless there is exactly one."""
    found = [entry.filename for entry in entries if entry.filename in EXPERIMENT_NAMES]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(Problem("the bundle has both experiment.yaml and experiment.yml", file, hint="keep one of them"))
    deeper = [one.filename for one in entries if one.filename.endswith(tuple(f"/{name}" for name in EXPERIMENT_NAMES))]
    deeper = [name for name in deeper if not name.startswith("__MACOSX/")]  # metadata that macOS adds to zips
    hint = f"it is in '{deeper[0]}'; zip the files, not their folder" if deeper else ""
    raise BadInput(Problem("the bundle has no experiment.yaml at its top", file, hint=hint))
