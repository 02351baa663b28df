"""The command of a container. No image is pulled, so it has to come from the job or from the server's options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def command_of(container: Any, entrypoints: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The command and its arguments; empty if unknown."""
    if container.entrypoint:
        return (container.entrypoint, *container.commands)
    return (*_entrypoint_of(container.image_uri, entrypoints), *container.commands)


def _entrypoint_of(image: str, entrypoints: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Looks an image up by its full name, without its digest, and without digest and tag."""
    name = image.partition("@")[0]
    bare = re.sub(r":[^/:]*$", "", name)
    return next((entrypoints[known] for known in (image, name, bare) if known in entrypoints), ())
