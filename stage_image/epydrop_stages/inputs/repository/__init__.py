"""The forecast repository: one commit, pinned for the whole run, and its files for every stage.

Only the builder talks to git; later stages read the archive that it stored. So a branch that moves during a run changes
nothing, and only one task needs the network and the token.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from epydrop.errors import PreconditionFailed
from epydrop.experiment.sections import Repository
from epydrop.formats.names import PINNED_COMMIT, REPOSITORY_ARCHIVE
from epydrop.formats.stage_records import PinnedCommit
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.signed_records import SignedRecords
from epydrop_stages.inputs.repository.archive import pack, unpack
from epydrop_stages.inputs.repository.complaints import translated
from epydrop_stages.inputs.repository.git import Git, GitFailed, Remote
from epydrop_stages.inputs.repository.refs import fetch, resolve

__all__ = ["Checkout", "check_out", "unpack_repository"]


@dataclass(frozen=True)
class Checkout:
    """The pinned commit, and the SHA-256 of the archive of its files in hex."""

    commit: str
    sha256: str


def check_out(source: Repository, remote: Remote, records: SignedRecords, workspace: Path) -> Checkout:
    """Store the repository's files at the pinned commit and unpack them into the workspace.

    The first builder of a run resolves the ref and pins the commit; retries use that commit even if the branch moved.
    Raises BadInput for what the author of the experiment can fix, RetryableError if the server does not answer,
    ConfigurationError if git or a certificate is missing, IntegrityError if somebody else pinned a commit.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            pinned = _pinned(records) or _pin(records, source, Git(Path(folder, "lookup"), remote))
            git = Git(Path(folder, "checkout"), remote)  # a new one: resolving may have fetched commits without files
            fetch(git, pinned.commit, source.repo)
            with records.store.open_write(REPOSITORY_ARCHIVE) as target:
                sha256 = pack(git, pinned.commit, target)
        except GitFailed as error:
            raise translated(error, source.repo, remote) from error
    unpack_repository(records.store, sha256, workspace)
    return Checkout(pinned.commit, sha256)


def unpack_repository(store: ObjectStore, sha256: str, workspace: Path) -> None:
    """Unpack the files of the pinned commit. Raises IntegrityError if the archive does not have this SHA-256."""
    unpack(store, REPOSITORY_ARCHIVE, sha256, workspace)


def _pinned(records: SignedRecords) -> PinnedCommit | None:
    if records.store.stat(PINNED_COMMIT) is None:
        return None
    return records.read(PinnedCommit, PINNED_COMMIT)


def _pin(records: SignedRecords, source: Repository, git: Git) -> PinnedCommit:
    """Pin the commit that the ref means now, unless another builder has pinned one in the meantime."""
    pinned = PinnedCommit(source.repo, source.ref, resolve(git, source.ref, source.repo))
    try:
        return records.write(PINNED_COMMIT, pinned, if_generation=0)  # only if it does not exist
    except PreconditionFailed:
        return records.read(PinnedCommit, PINNED_COMMIT)
