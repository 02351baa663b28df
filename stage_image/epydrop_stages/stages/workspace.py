"""The folder that a suite works in: the files of the forecast repository, and over them those of the bundle.

The builder fills it from git and the dropped file; the later stages fill theirs with the very same files, which they
compare with the digests in the builder's manifest.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from epydrop.experiment import Experiment
from epydrop.formats.names import REPOSITORY_ARCHIVE, manifest_name
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Manifest
from epydrop_stages.inputs.repository import check_out, unpack_repository
from epydrop_stages.inputs.repository.git import TOKEN, Remote
from epydrop_stages.stages.bundles import lay_bundle, take_bundle
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.suites.registry import WORK_AMONG_FILES


@dataclass(frozen=True)
class Taken:
    """What a workspace was filled with: object -> sha256, and repository -> commit."""

    digests: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)


def fill(context: TaskContext, experiment: Experiment, workspace: Path) -> Taken:
    """Fetches the repository and unpacks the bundle. Raises BadInput, RetryableError."""
    os.environ.pop(TOKEN, None)  # the experiment's own code, which the suite may call, must not find it
    digests, commits = {}, {}
    if experiment.source:
        remote = Remote.of(experiment.source.repo, context.told.github_pat)
        checkout = check_out(experiment.source, remote, context.store, workspace)
        digests[REPOSITORY_ARCHIVE] = checkout.sha256
        commits[experiment.source.repo] = checkout.commit
    return Taken({**digests, **take_bundle(context.store, workspace)}, commits)


@contextlib.contextmanager
def files_at_hand(context: TaskContext, suite: str) -> Iterator[None]:
    """Works in a folder with the files that the builder had, if that is how the suite is called.

    Raises IntegrityError if they are not the ones that the manifest speaks of.
    """
    if suite not in WORK_AMONG_FILES:
        yield
        return
    name = manifest_name(context.orders.inputs)
    digests = from_json(Manifest, context.store.read(name), name).digests
    with tempfile.TemporaryDirectory() as folder:
        if REPOSITORY_ARCHIVE in digests:
            unpack_repository(context.store, digests[REPOSITORY_ARCHIVE], Path(folder))
        lay_bundle(context.store, Path(folder), digests)
        with working_in(Path(folder), suite):
            yield


@contextlib.contextmanager
def working_in(workspace: Path, suite: str) -> Iterator[None]:
    """Relative paths lead into the workspace and its modules can be imported, if that is how the suite is called.

    What is installed comes first: a file of the repository never stands in for a module of the image.
    """
    if suite not in WORK_AMONG_FILES:
        yield
        return
    with contextlib.chdir(workspace):
        sys.path.append(str(workspace))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(workspace))
