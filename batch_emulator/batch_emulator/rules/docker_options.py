"""The options of ``docker run`` in a container runnable, as far as they make sense for a plain process."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

# Options about placement, network and devices of a container, without effect here: with a value, and as flags.
_NO_EFFECT = re.compile(
    r"-[clh]|--(cpus|cpu-shares|cpuset-cpus|gpus|hostname|ipc|label|log-driver|log-opt|memory-reservation|memory-swap"
    r"|name|net|network|pid|platform|pull|runtime|security-opt|shm-size|stop-timeout|ulimit)"
)
_FLAG = re.compile(r"-[it]{1,2}|--(init|interactive|oom-kill-disable|privileged|rm|tty)")
_MIB = {"b": 1 / 2**20, "k": 1 / 2**10, "m": 1, "g": 2**10}


class UnknownOption(Exception):
    """An option that would change what the program sees, and that the emulator cannot apply."""


@dataclass(frozen=True)
class DockerOptions:
    """``memory_mib`` is the hard limit, None if there is none; ``env`` holds additional variables."""

    memory_mib: int | None = None
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, container: Any) -> DockerOptions:
        """The options of a container runnable. Raises UnknownOption.

        With image streaming, Batch ignores all options, and so does the emulator.
        """
        if container.enable_image_streaming:
            return cls()
        try:
            words = iter(shlex.split(container.options))
        except ValueError as error:
            raise UnknownOption(f"{container.options!r} cannot be split into words: {error}") from error
        memory: int | None = None
        env: dict[str, str] = {}
        for word in words:
            name, is_joined, value = word.partition("=")
            if _FLAG.fullmatch(name):
                continue
            if not is_joined:
                value = next(words, "")
            match name:
                case "--memory" | "-m":
                    memory = _mebibytes(value)
                case "--env" | "-e":
                    variable, _, content = value.partition("=")
                    env[variable] = content
                case _ if not _NO_EFFECT.fullmatch(name):
                    raise UnknownOption(f"{name} is not supported by this emulator")
        return cls(memory, env)


def _mebibytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([bkmg]?)b?", text.lower())
    if found is None:
        raise UnknownOption(f"--memory {text!r} is not a size like 512m or 4g")
    return max(1, int(int(found[1]) * _MIB[found[2] or "b"]))
