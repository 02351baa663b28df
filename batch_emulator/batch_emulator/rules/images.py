"""What a container would run. No image is pulled, so only what the job and the person who started us say is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def command_of(container: Any, entrypoints: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The words of the command; none when they are unknown."""
    if container.entrypoint:
        return (container.entrypoint, *container.commands)
    return (*_entrypoint_of(container.image_uri, entrypoints), *container.commands)


def _entrypoint_of(image: str, entrypoints: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """An image is known by its whole name, or by its name without tag and digest."""
    name = image.partition("@")[0]
    bare = re.sub(r":[^/:]*$", "", name)
    return next((entrypoints[known] for known in (image, name, bare) if known in entrypoints), ())
