"""What git's complaints mean to the person who named the repository, or to whoever tries again later.

The phrases are those of git 2.30 and later, and of the curl in it, in the locale C; an unknown one passes as it is.
"""

from __future__ import annotations

import re

from epydrop.errors import BadInput, ConfigurationError, EpydropError, Problem, RetryableError
from epydrop_stages.inputs.repository.git import TOKEN, GitFailed, Remote

_AWAY = re.compile(
    r"Could not resolve (host|proxy)|Failed to connect|Couldn't connect|Connection (refused|reset|timed out)"
    r"|Operation (too slow|timed out)|returned error: (429|5\d\d)|early EOF|hung up unexpectedly|RPC failed"
    r"|gnutls_handshake|SSL_ERROR_SYSCALL|unexpected disconnect|transfer closed|Empty reply from server"
)
_REFUSED = re.compile(
    r"could not read (Username|Password)|unable to read askpass|Authentication failed|returned error: 40[0134]"
    r"|repository '.*' not found|Repository not found|Invalid username or"
)
_CERTIFICATE = re.compile(r"certificate|CAfile")
_NOT_THERE = re.compile(r"does not appear to be a git repository|No such file or directory|not a git repository")
_FORBIDDEN = re.compile(r"transport '(\w+)' not allowed")


def explained(error: GitFailed, repo: str, remote: Remote) -> EpydropError:
    """The error to raise for a repository that could not be read."""
    complaint = error.complaint
    if _AWAY.search(complaint):
        return RetryableError(f"the repository {repo} could not be reached: {complaint}")
    if _CERTIFICATE.search(complaint):
        return ConfigurationError(f"the certificate of the server of {repo} was not accepted: {complaint}")
    if _REFUSED.search(complaint):
        return BadInput(_refusal(repo, remote))
    if remote.url.startswith("file://") and _NOT_THERE.search(complaint):
        return BadInput(Problem(f"source: there is no git repository {repo!r}"))
    if found := _FORBIDDEN.search(complaint):
        return BadInput(Problem(f"source: {repo!r} leads to the protocol {found[1]}, which is not allowed"))
    return error


def _refusal(repo: str, remote: Remote) -> Problem:
    """GitHub answers for a private repository as for one that does not exist, so both are named."""
    if not remote.takes_token:
        hint = f"{TOKEN} is sent to {remote.token_server} and to no other server"
        return Problem(f"source: {repo!r} does not exist, or it wants a user's name and password", hint=hint)
    if not remote.token:
        hint = (
            f"put a token that may read it into the variable {TOKEN}; "
            "in the cloud it is the secret epydrop-github-token (github_token = true in terraform)"
        )
        return Problem(f"source: {repo!r} does not exist, or it is private and needs a token", hint=hint)
    hint = "it may have expired; a fine-grained token needs the permission 'Contents: read' for this repository"
    return Problem(f"source: {repo!r} does not exist, or the token in {TOKEN} may not read it", hint=hint)
