"""Packs a commit's files into one archive (tar in zstd, the same bytes for the same commit) and unpacks it.

Files are read from git's object store, not checked out: no filter, hook, line-ending rule or LFS smudge changes a byte,
and no path from the repository touches this machine's file system before it was checked.
"""

from __future__ import annotations

import io
import logging
import os
import posixpath
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from epydrop.errors import BadInput, EpydropError, IntegrityError, Problem
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.checksums import HashingWriter, sha256_of_stream
from epydrop_stages.inputs.repository.git import Git

MAX_FILES = 50_000
MAX_BYTES = 2 << 30  # every stage of every task unpacks the archive onto a boot disk of 30 GB or a laptop

_log = logging.getLogger("epydrop.stages.repository")

_FILE, _PROGRAM, _LINK, _SUBMODULE = "100644", "100755", "120000", "160000"
_LEVEL = 3
_MAX_PROBLEMS = 20
_MAX_LINK = 4096  # bytes: PATH_MAX on Linux
_MAX_NAME = 255  # bytes of one path component: NAME_MAX on Linux and macOS
_LARGE = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class _Entry:
    """One line of ``git ls-tree``."""

    mode: str
    object_id: str
    size: int
    name: str


def pack(git: Git, commit: str, target: BinaryIO) -> str:
    """Write the archive of a fetched commit; returns its SHA-256. Raises BadInput for files that are not allowed."""
    entries = _files(_entries(git, commit))
    hashed = HashingWriter(target)
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with (
        compressor.stream_writer(cast("BinaryIO", hashed), closefd=False) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        git.talk("cat-file", "--batch") as (ask, answer),
    ):
        for entry in entries:
            ask.write(entry.object_id.encode() + b"\n")
            ask.flush()
            if answer.readline().split() != [entry.object_id.encode(), b"blob", str(entry.size).encode()]:
                raise EpydropError(f"git did not return {entry.name!r} of commit {commit}")
            _add(archive, entry, answer)
            answer.read(1)  # cat-file --batch ends each object with a newline
    return hashed.digest.hexdigest()


def unpack(store: ObjectStore, name: str, sha256: str, folder: Path) -> None:
    """Unpack an archive into the folder. Raises IntegrityError if it does not have this SHA-256."""
    with store.open_read(name) as stream:
        if sha256_of_stream(stream) != sha256:
            raise IntegrityError(f"{name} is not the archive listed in the manifest")
        stream.seek(0)
        source = zstandard.ZstdDecompressor().stream_reader(stream, closefd=False)
        with tarfile.open(fileobj=source, mode="r|") as archive:
            links = _unpack_files(_bounded(archive, name), archive, folder)
    # Links last: a file can then not be written through one.
    for link, target in links.items():
        (folder / link).symlink_to(target)
    _check_links(links, folder)


def _unpack_files(members: Iterator[tarfile.TarInfo], archive: tarfile.TarFile, folder: Path) -> dict[str, str]:
    """Unpack the files; returns the links, name -> target. As long as no link exists, no path can leave the folder."""
    links = {}
    for member in members:
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            links[member.name] = member.linkname
            continue
        with cast("BinaryIO", archive.extractfile(member)) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        path.chmod(member.mode & 0o755)  # never setuid or writable by others
    return links


def _check_links(links: Iterable[str], folder: Path) -> None:
    """Raise BadInput if a link leads out of the folder, possibly through other links."""
    root = os.path.realpath(folder)
    for name in links:
        target = os.path.realpath(folder / name)
        if os.path.commonpath([root, target]) != root:
            raise BadInput(_problem(f"the repository's {name!r} is a link that leads out of it"))


# -- what a repository may contain ----------------------------------------------------------------


def _entries(git: Git, commit: str) -> list[_Entry]:
    listing = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    return [_entry(line) for line in listing.split("\0") if line]


def _entry(line: str) -> _Entry:
    head, _, name = line.partition("\t")
    mode, _, object_id, size = head.split()
    return _Entry(mode, object_id, int(size) if size.isdecimal() else 0, name)


def _files(entries: list[_Entry]) -> list[_Entry]:
    """The files and links among the entries. Raises BadInput for names that are not allowed or too many files."""
    size = sum(entry.size for entry in entries)
    if len(entries) > MAX_FILES or size > MAX_BYTES:
        limits = f"the limit is {MAX_FILES} files and {MAX_BYTES >> 20} MiB in total"
        raise BadInput(_problem(f"the repository has {len(entries)} files, {size >> 20} MiB", limits))
    faults = [_problem(f"the repository's {entry.name!r} {fault}") for entry in entries if (fault := _fault(entry))]
    if faults:
        raise BadInput(*faults[:_MAX_PROBLEMS])
    if submodules := [entry.name for entry in entries if entry.mode == _SUBMODULE]:
        _log.warning("left out because they are submodules: %s", ", ".join(submodules))
    return [entry for entry in entries if entry.mode != _SUBMODULE]


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(f"source: {message}", hint=hint, path=("source",))


def _fault(entry: _Entry) -> str:
    if not _is_name(entry.name):
        return "is not a valid file name"
    if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in entry.name):  # surrogateescape: bytes that are not UTF-8
        return "has a name that is not UTF-8"
    if any(len(part.encode()) > _MAX_NAME for part in entry.name.split("/")):
        return "has too long a name"
    if entry.mode == _LINK and entry.size > _MAX_LINK:
        return "is a link with too long a target"
    return ""


def _is_name(name: str) -> bool:
    return not any(part in {"", ".", ".."} or part.lower() == ".git" for part in name.split("/"))


def _link_fault(name: str, target: str) -> str:
    """What is wrong with a link, judged by its text alone; unpacking checks where it really leads."""
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if not target or target.startswith("/") or inside == ".." or inside.startswith("../"):
        return f"is a link that leads out of it, to {target!r}"
    return ""


# -- the archive -------------------------------------------------------------------------------


def _add(archive: tarfile.TarFile, entry: _Entry, content: BinaryIO) -> None:
    """Add one file or link; its content is read from ``content``."""
    member = tarfile.TarInfo(entry.name)  # time 0 and owner 0 by default, so that the bytes depend on the commit alone
    member.mode = 0o755 if entry.mode == _PROGRAM else 0o644
    if entry.mode == _LINK:
        target = content.read(entry.size).decode("utf-8", "surrogateescape")
        if fault := _link_fault(entry.name, target):
            raise BadInput(_problem(f"the repository's {entry.name!r} {fault}"))
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
        return
    member.size = entry.size
    start = content.peek(len(_LARGE))[: len(_LARGE)] if isinstance(content, io.BufferedReader) else b""
    if entry.size and start == _LARGE:
        _log.warning("%s is a pointer to Git LFS; its content is not in the repository", entry.name)
    archive.addfile(member, content)


def _bounded(archive: tarfile.TarFile, name: str) -> Iterator[tarfile.TarInfo]:
    """The members. Raises IntegrityError beyond the limits, or for a member that ``pack`` does not write."""
    count, size = 0, 0
    for member in archive:
        count, size = count + 1, size + member.size
        if count > MAX_FILES or size > MAX_BYTES or not (member.isreg() or member.issym()):
            raise IntegrityError(f"{name} is larger than allowed, or has members other than files and links")
        if not _is_name(member.name):
            raise IntegrityError(f"{name} has the member {member.name!r}, which is not a valid file name")
        yield member
