"""The key that signs this machine's artifacts: created once, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from epydrop.errors import ConfigurationError


def signing_keys(folder: Path) -> str:
    """The keys in ``folder`` as JSON {key id: key}, the format of EPYDROP_SIGNING_KEY; created if there are none.

    Raises ConfigurationError if the file cannot be read, or if others may read it: who has the key can forge
    artifacts, which are unpickled.
    """
    path = folder / "signing-key.json"
    if not path.exists():
        _create(path)
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others; to make it private: chmod 600 {path}")
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"the signing key cannot be read: {error}") from error


def _create(path: Path) -> None:
    """Creates the file atomically; if two processes do so at once, the first wins and both use its key."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({f"local-{secrets.token_hex(4)}": secrets.token_hex(32)}, file)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()
