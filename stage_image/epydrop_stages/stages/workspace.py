"""The folder that a suite works in: the files of the forecast repository, overlaid by those of the bundle.

The builder fills it from git and the dropped file. Later stages fill theirs with the same files and compare these with
the digests in the builder's manifest.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from epydrop.experiment import Experiment
from epydrop.formats.names import REPOSITORY_ARCHIVE
from epydrop_stages.inputs.repository import check_out, unpack_repository
from epydrop_stages.inputs.repository.git import Remote
from epydrop_stages.stages.bundles import unpack_and_store_bundle, unpack_bundle
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.suites.registry import suite_named


@dataclass(frozen=True)
class Sources:
    """The sources of a workspace: ``digests``, object -> SHA-256 in hex; ``commits``, repository -> commit."""

    digests: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)


def fill(context: TaskContext, experiment: Experiment, workspace: Path) -> Sources:
    """Fetch the repository and unpack the bundle. Raises BadInput, RetryableError."""
    digests, commits = {}, {}
    if experiment.source:
        remote = Remote.of(experiment.source.repo, context.environment.github_pat)
        checkout = check_out(experiment.source, remote, context.records, workspace)
        digests[REPOSITORY_ARCHIVE] = checkout.sha256
        commits[experiment.source.repo] = checkout.commit
    digests |= unpack_and_store_bundle(context.store, workspace, context.environment.dropped_md5)
    return Sources(digests, commits)


@contextlib.contextmanager
def suite_workspace(context: TaskContext, suite: str) -> Iterator[None]:
    """Work in a folder with the builder's files, if the suite needs files.

    Raises IntegrityError if the files differ from those listed in the manifest.
    """
    if not suite_named(suite).NEEDS_FILES:
        yield
        return
    digests = context.manifest().digests
    with tempfile.TemporaryDirectory() as folder:
        if REPOSITORY_ARCHIVE in digests:
            unpack_repository(context.store, digests[REPOSITORY_ARCHIVE], Path(folder))
        unpack_bundle(context.store, Path(folder), digests)
        with working_in(Path(folder), suite):
            yield


@contextlib.contextmanager
def working_in(workspace: Path, suite: str) -> Iterator[None]:
    """Make the workspace the current folder and its modules importable, if the suite needs files.

    The workspace is last on the path, so a file of the repository never replaces an installed module.
    """
    if not suite_named(suite).NEEDS_FILES:
        yield
        return
    with contextlib.chdir(workspace):
        sys.path.append(str(workspace))
        importlib.invalidate_caches()  # the import system caches listings of folders
        try:
            yield
        finally:
            sys.path.remove(str(workspace))
