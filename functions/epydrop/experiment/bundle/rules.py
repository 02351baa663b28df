"""What a bundle may hold: the rules over the entries of a zip, as its directory states them. Reads nothing."""

from __future__ import annotations

import re
import stat
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from epydrop.errors import BadInput, Problem
from epydrop.experiment.text.source import first_of
from epydrop.experiment.text.yaml_scalars import short

if TYPE_CHECKING:
    from zipfile import ZipInfo

MAX_UNPACKED = 2 * 1024**3
MAX_MEMBERS = 10_000
MAX_PART = 255  # bytes of a file's or a folder's name that every file system takes
MAX_FOLDERS = 20
EXPERIMENT_NAMES = ("experiment.yaml", "experiment.yml")

_ENCRYPTED = 0x1
_STORED, _DEFLATED = 0, 8


def check_entries(entries: list[ZipInfo], file: str, max_unpacked: int) -> list[ZipInfo]:
    """The entries that are files. Raises BadInput with every rule that is broken."""
    faults = [*_size_faults(entries, max_unpacked)]
    files = {_folded(entry) for entry in entries if not entry.is_dir()}
    seen: set[str] = set()
    for entry in entries:
        folded = _folded(entry)
        fault = _name_fault(entry.orig_filename) or _kind_fault(entry)
        if folded in seen:
            fault = fault or "is there twice (upper and lower case count as the same)"
        elif any(parent in files for parent in _parents(folded)):
            fault = fault or "lies in a folder that is a file as well"
        seen.add(folded)
        if fault:
            faults.append(f"{short(repr(entry.orig_filename))} {fault}")
    if faults:
        raise BadInput(*first_of([Problem(fault, file) for fault in faults]))
    return [entry for entry in entries if not entry.is_dir()]


def _folded(entry: ZipInfo) -> str:
    """The name as the file systems see it that know the fewest differences."""
    return unicodedata.normalize("NFC", entry.orig_filename).casefold().rstrip("/")


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:count]) for count in range(1, min(len(parts), MAX_FOLDERS)))


def _size_faults(entries: list[ZipInfo], max_unpacked: int) -> Iterator[str]:
    if len(entries) > MAX_MEMBERS:
        yield f"the bundle has {len(entries)} entries, at most {MAX_MEMBERS} are read"
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max_unpacked:
        yield f"the bundle would unpack to {unpacked} bytes, at most {max_unpacked} are allowed"


def _name_fault(name: str) -> str:
    parts = name.removesuffix("/").split("/")
    if "\\" in name or re.match(r"[A-Za-z]:", name):
        return "is a name from another system: folders are divided by '/', and there are no drives"
    if name.startswith("/"):
        return "is an absolute name"
    if ".." in parts:
        return "leads out of the bundle"
    if any(part in {"", "."} for part in parts) or not name.isprintable():
        return "is not a proper file name"
    if any(len(part.encode()) > MAX_PART for part in parts) or len(parts) > MAX_FOLDERS:
        return "is too long a name"
    return ""


def _kind_fault(entry: ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link" if kind == stat.S_IFLNK else "is neither a file nor a folder"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in {_STORED, _DEFLATED}:
        return "is compressed in a way that is not read here (only 'deflate' is)"
    return ""


def experiment_name(entries: list[ZipInfo], file: str) -> str:
    """The name of the one experiment file at the top. Raises BadInput when there is none, or two."""
    found = [entry.filename for entry in entries if entry.filename in EXPERIMENT_NAMES]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(Problem("the bundle has both experiment.yaml and experiment.yml", file, hint="keep one of them"))
    deeper = [one.filename for one in entries if one.filename.endswith(tuple(f"/{name}" for name in EXPERIMENT_NAMES))]
    deeper = [name for name in deeper if not name.startswith("__MACOSX/")]
    hint = f"it is in '{deeper[0]}': zip the files, not the folder around them" if deeper else ""
    raise BadInput(Problem("the bundle has no experiment.yaml at its top", file, hint=hint))
