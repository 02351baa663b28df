"""Translates git's error output into our errors: the author's mistake, a missing setting, or a transient failure.

git exits with 128 for all of them, so its messages are the only evidence. The phrases are those of git 2.30 and later
and of the curl in it, in the C locale (see ``environment_of``); an unknown message is passed on unchanged.
"""

from __future__ import annotations

import re

from epydrop.errors import BadInput, ConfigurationError, EpydropError, Problem, RetryableError
from epydrop_stages.inputs.repository.git import TOKEN, GitFailed, Remote

_UNREACHABLE = re.compile(
    r"Could not resolve (host|proxy)|Failed to connect|Couldn't connect|Connection (refused|reset|timed out)"
    r"|Operation (too slow|timed out)|returned error: (429|5\d\d)|early EOF|hung up unexpectedly|RPC failed"
    r"|gnutls_handshake|SSL_ERROR_SYSCALL|unexpected disconnect|transfer closed|Empty reply from server"
)
_REFUSED = re.compile(
    r"could not read (Username|Password)|unable to read askpass|Authentication failed|returned error: 40[0134]"
    r"|repository '.*' not found|Repository not found|Invalid username or"
)
_CERTIFICATE = re.compile(r"certificate|CAfile")
_NO_REPOSITORY = re.compile(r"does not appear to be a git repository|No such file or directory|not a git repository")
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
_FORBIDDEN = re.compile(r"transport '(\w+)' not allowed")


def translated(error: GitFailed, repo: str, remote: Remote) -> EpydropError:
    """The error to raise for a repository that git could not read."""
    complaint = error.complaint
    if _NO_SPACE.search(complaint):
        return RetryableError(f"there is no space for the repository {repo}: {complaint}")
    if _UNREACHABLE.search(complaint):
        return RetryableError(f"the repository {repo} could not be reached: {complaint}")
    if _CERTIFICATE.search(complaint):
        return ConfigurationError(f"the certificate of the server of {repo} was not accepted: {complaint}")
    if _REFUSED.search(complaint):
        return BadInput(_refusal(repo, remote))
    if remote.url.startswith("file://") and _NO_REPOSITORY.search(complaint):
        return BadInput(_problem(f"there is no git repository {repo!r}"))
    if found := _FORBIDDEN.search(complaint):
        return BadInput(_problem(f"{repo!r} leads to the protocol {found[1]}, which is not allowed"))
    return error


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(f"source: {message}", hint=hint, path=("source", "repo"))


def _refusal(repo: str, remote: Remote) -> Problem:
    """GitHub gives the same answer for a private repository as for none, so the message names both possibilities."""
    if not remote.takes_token:
        hint = f"{TOKEN} is sent to {remote.token_server} and to no other server"
        return _problem(f"{repo!r} does not exist, or it needs a user name and password", hint)
    if not remote.token:
        hint = (
            f"set the variable {TOKEN} to a token that may read it; "
            "in the cloud it is the secret epydrop-github-token (github_token = true in terraform)"
        )
        return _problem(f"{repo!r} does not exist, or it is private and needs a token", hint)
    hint = "it may have expired; a fine-grained token needs the permission 'Contents: read' for this repository"
    return _problem(f"{repo!r} does not exist, or the token in {TOKEN} may not read it", hint)
