"""Resolves a ref to a commit: a branch, a tag, or a full or abbreviated commit id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from epydrop.errors import BadInput, Problem
from epydrop_stages.inputs.repository.git import Git, GitFailed

_FULL = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{4,39}")  # the shortest abbreviation that git accepts (core.abbrev)
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def resolve(git: Git, ref: str, repo: str) -> str:
    """The full id of the commit that ``ref`` means now. Raises BadInput, GitFailed."""
    named = parse_listing(git.run("ls-remote", "origin", "HEAD", "refs/heads/*", "refs/tags/*"))
    if not named:
        raise BadInput(Problem(f"source: {repo!r} has no commit yet", path=("source", "repo")))
    if commit := commit_named(named, ref, repo):
        return commit
    digits = ref.lower()
    if _FULL.fullmatch(digits):
        return digits
    if _SHORT.fullmatch(digits):
        return _completed(git, digits, ref, repo)
    raise BadInput(_unknown(named, ref, repo))


def parse_listing(listing: str) -> dict[str, str]:
    """Parse ``git ls-remote``: full ref name -> commit. An annotated tag maps to the commit it points to."""
    found = {}
    for line in listing.splitlines():
        object_id, _, name = line.partition("\t")
        found[name.removesuffix("^{}")] = object_id  # the peeled entry follows the tag and replaces it
    return found


def commit_named(named: Mapping[str, str], ref: str, repo: str) -> str | None:
    """The commit of the branch or tag with that name, or None. Raises BadInput if a branch and a tag differ."""
    found = {name: named[name] for name in _readings(ref) if name in named}
    if len(set(found.values())) > 1:
        hint = f"use {' or '.join(found)}"
        raise BadInput(_problem(f"{repo!r} has a branch and a tag called {ref!r}", hint))
    return next(iter(found.values()), None)


def fetch(git: Git, commit: str, repo: str) -> None:
    """Fetch the commit alone if the server allows that, else all history. Raises BadInput if it does not exist."""
    try:
        git.run("fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit, minutes=30)
    except GitFailed:  # some servers refuse commits that no ref points to, others shallow fetches
        git.run("fetch", "--quiet", "--no-tags", "origin", *_EVERYTHING, minutes=30)
    try:
        git.run("cat-file", "-e", f"{commit}^{{commit}}")
    except GitFailed as error:
        raise BadInput(_problem(f"{repo!r} has no commit {commit}")) from error


def _readings(ref: str) -> list[str]:
    """The full names that a ref may abbreviate, in the order of gitrevisions(7)."""
    return [ref, f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}"]


def _completed(git: Git, digits: str, ref: str, repo: str) -> str:
    """The commit whose id begins with these digits. Fetches all commits, without their trees and files (tree:0)."""
    git.run("fetch", "--quiet", "--no-tags", "--filter=tree:0", "origin", *_EVERYTHING, minutes=30)
    history = git.run("rev-list", "--all").split()
    found = [commit for commit in history if commit.startswith(digits)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(found[:3])
        raise BadInput(_problem(f"{ref!r} may mean {len(found)} commits of {repo!r}", listed))
    raise BadInput(_problem(f"{repo!r} has no branch, tag or commit {ref!r}"))


def _unknown(named: Mapping[str, str], ref: str, repo: str) -> Problem:
    known = [name.removeprefix("refs/heads/").removeprefix("refs/tags/") for name in named if name != "HEAD"]
    close = difflib.get_close_matches(ref, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there is {', '.join(sorted(known)[:10])}"
    return _problem(f"{repo!r} has no branch, tag or commit {ref!r}", hint)


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(f"source: ref: {message}", hint=hint, path=("source", "ref"))
