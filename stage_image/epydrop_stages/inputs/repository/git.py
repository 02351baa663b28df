"""Runs git as a subprocess with its own configuration and a minimal environment.

The experiment names the repository, so it is untrusted: git ignores this machine's settings, never prompts, runs no
hook and uses only the allowed protocols. The token is passed through the environment to an askpass script that sends it
to one server only, so it appears in no URL, argument, file or message.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from epydrop.errors import BadInput, ConfigurationError, EpydropError, Problem, RetryableError

TOKEN = "GITHUB_PAT"  # noqa: S105 - the name of the variable

_GITHUB = "https://github.com"
_SERVER = "EPYDROP_GIT_SERVER"
_CONFIG = ".gitconfig"
_ASKPASS = "askpass"

# git asks "Username for 'https://host': ", then "Password for 'https://user@host': ". The script answers only for the
# token's server, so a redirect to another one does not get the token.
ASKPASS = f"""#!/bin/sh
case "$1" in
  "Username for '${_SERVER}'"*) echo x-access-token ;;
  "Password for '${{{_SERVER}%%://*}}://x-access-token@${{{_SERVER}#*://}}'"*) printf '%s\\n' "${TOKEN}" ;;
  *) exit 1 ;;
esac
"""

_INHERITED = re.compile(r"PATH|LD_LIBRARY_PATH|SSL_CERT_\w+|GIT_SSL_CAINFO|(?i:https?_proxy|no_proxy|all_proxy)")


@dataclass(frozen=True)
class Remote:
    """A repository and how to reach it; ``token`` is sent to ``token_server`` only."""

    url: str
    token: str = field(default="", repr=False)
    protocols: tuple[str, ...] = ("https", "file")
    token_server: str = _GITHUB

    @classmethod
    def of(cls, repo: str, token: str = "") -> Remote:
        """The repository an experiment names: ``owner/name`` on GitHub, https://... or file:///... Raises BadInput."""
        if not unquote(repo).isprintable():
            problem = Problem("source: repo: the address has an unprintable character", path=("source", "repo"))
            raise BadInput(problem)  # a line break in it could add settings to git's configuration
        return cls(repo if "://" in repo else f"{_GITHUB}/{repo}.git", token)

    @property
    def takes_token(self) -> bool:
        """Whether the repository is on the token's server."""
        return self.url.startswith(f"{self.token_server}/")


def config_of(remote: Remote) -> str:
    """Git's whole configuration. Below 1 kB/s for a minute a transfer is aborted; the task is then retried."""
    sections = [
        "[credential]\n\thelper =",  # else git might use this machine's stored passwords
        "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false",  # both start programs
        "[init]\n\tdefaultBranch = main\n\ttemplateDir =",
        "[protocol]\n\tversion = 2\n\tallow = never",
        *(f'[protocol "{name}"]\n\tallow = always' for name in remote.protocols),
        "[http]\n\tlowSpeedLimit = 1000\n\tlowSpeedTime = 60",
        "[fetch]\n\trecurseSubmodules = false",
        "[submodule]\n\trecurse = false",
        "[gc]\n\tauto = 0",  # no background process in a folder that is about to be deleted
        "[maintenance]\n\tauto = false",
    ]
    if remote.url.startswith("file://"):  # git refuses a folder of another user unless it is listed
        path = unquote(urlsplit(remote.url).path).rstrip("/").replace("\\", "\\\\").replace('"', '\\"')
        sections.append(f'[safe]\n\tdirectory = "{path}"\n\tdirectory = "{path}/.git"')
    return "\n".join(sections) + "\n"


def environment_of(remote: Remote, home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Git's whole environment: search path, proxies, certificates, and the token if the server may have it."""
    env = {name: value for name, value in environ.items() if _INHERITED.fullmatch(name)}
    if "SSL_CERT_FILE" in env:
        env.setdefault("GIT_SSL_CAINFO", env["SSL_CERT_FILE"])
    env |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / _CONFIG),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ASKPASS": str(home / _ASKPASS),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "false",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",  # complaints.py matches untranslated messages
    }
    if remote.token and remote.takes_token:
        env |= {TOKEN: remote.token, _SERVER: remote.token_server}
    return env


class Git:
    """git in a new bare repository below ``folder``, with the experiment's repository as ``origin``."""

    def __init__(self, folder: Path, remote: Remote, environ: Mapping[str, str] = os.environ) -> None:
        self.remote = remote
        self._folder = folder / "repository"
        home = folder / "home"
        for made in (self._folder, home):
            made.mkdir(parents=True)
        (home / _CONFIG).write_text(config_of(remote))
        (home / _ASKPASS).write_text(ASKPASS)
        (home / _ASKPASS).chmod(0o700)
        self._env = environment_of(remote, home, environ)
        self._git = _program(self._env)
        self.run("init", "--quiet", "--bare")
        self.run("remote", "add", "origin", remote.url)

    def run(self, *args: str, minutes: float = 5) -> str:
        """Run git; returns its output. Raises GitFailed with its error output, RetryableError after ``minutes``."""
        try:
            done = subprocess.run(
                [self._git, *args],
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,  # a question gets no answer instead of waiting for one
                cwd=self._folder,
                env=self._env,
                timeout=60 * minutes,
            )
        except subprocess.TimeoutExpired as error:
            raise RetryableError(
                f"git {args[0]} of {self.remote.url} did not finish within {minutes:g} minutes"
            ) from error
        if done.returncode:
            raise GitFailed(args, done.stderr.decode("utf-8", "replace"), self.remote)
        return done.stdout.decode("utf-8", "surrogateescape")

    @contextmanager
    def talk(self, *args: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Run git for the duration of the block; yields its standard input and output."""
        with subprocess.Popen(
            [self._git, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self._folder, env=self._env
        ) as process:
            try:
                yield cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
            finally:
                process.kill()  # cat-file --batch waits for more requests


def _program(env: Mapping[str, str]) -> str:
    found = shutil.which("git", path=env.get("PATH"))
    if found is None:
        raise ConfigurationError("git is not installed; the builder needs it for experiments with 'source'")
    return found


class GitFailed(EpydropError):
    """git exited with an error; ``complaint`` is its error output with the token masked."""

    def __init__(self, args: Sequence[str], complaint: str, remote: Remote) -> None:
        hidden = complaint.replace(remote.token, "***") if remote.token else complaint
        self.complaint = hidden.strip()
        super().__init__(f"git {args[0]} failed: {self.complaint or 'no error output'}")
