"""The forecast repository: one commit of it, pinned for the whole run, and its files where the stages need them.

The builder alone talks to git; the later stages read the archive that it stored.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from epydrop.errors import PreconditionFailed
from epydrop.experiment.sections import Repository
from epydrop.formats.names import PINNED_COMMIT, REPOSITORY_ARCHIVE
from epydrop.formats.serialization import from_json, to_json
from epydrop.formats.stage_records import PinnedCommit
from epydrop.stores.port import ObjectStore
from epydrop_stages.inputs.repository.archive import pack, unpack
from epydrop_stages.inputs.repository.complaints import explained
from epydrop_stages.inputs.repository.git import Git, GitFailed, Remote
from epydrop_stages.inputs.repository.refs import fetch, resolve

__all__ = ["Checkout", "check_out", "unpack_repository"]


@dataclass(frozen=True)
class Checkout:
    """The commit that the run stays with, and the sha256 of the archive of its files."""

    commit: str
    sha256: str


def check_out(source: Repository, remote: Remote, store: ObjectStore, workspace: Path) -> Checkout:
    """Stores the repository's files at the run's commit, and unpacks them into the workspace.

    The first builder decides which commit that is; whoever comes later stays with it, even if the branch has moved.
    Raises BadInput for what the person who wrote the experiment can mend, RetryableError, ConfigurationError.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            pinned = _pinned(store) or _pin(store, source, Git(Path(folder, "lookup"), remote))
            git = Git(Path(folder, "checkout"), remote)  # a fresh one: looking up may leave commits without files
            fetch(git, pinned.commit, source.repo)
            with store.open_write(REPOSITORY_ARCHIVE) as target:
                sha256 = pack(git, pinned.commit, target)
        except GitFailed as error:
            raise explained(error, source.repo, remote) from error
    unpack_repository(store, sha256, workspace)
    return Checkout(pinned.commit, sha256)


def unpack_repository(store: ObjectStore, sha256: str, workspace: Path) -> None:
    """The files of the run's commit. Raises IntegrityError if the archive is not the one with that digest."""
    unpack(store, REPOSITORY_ARCHIVE, sha256, workspace)


def _pinned(store: ObjectStore) -> PinnedCommit | None:
    if store.stat(PINNED_COMMIT) is None:
        return None
    return from_json(PinnedCommit, store.read(PINNED_COMMIT), PINNED_COMMIT)


def _pin(store: ObjectStore, source: Repository, git: Git) -> PinnedCommit:
    """Decides on the commit, unless somebody else was faster."""
    pinned = PinnedCommit(source.repo, source.ref, resolve(git, source.ref, source.repo))
    try:
        store.write(PINNED_COMMIT, to_json(pinned), if_generation=0)
    except PreconditionFailed:
        return from_json(PinnedCommit, store.read(PINNED_COMMIT), PINNED_COMMIT)
    return pinned
