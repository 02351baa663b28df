"""The key that signs this machine's artifacts: made once, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from epydrop.errors import ConfigurationError


def signing_keys(folder: Path) -> str:
    """The keys in ``folder`` as JSON {key id: key}, the form of EPYDROP_SIGNING_KEY; made if there are none.

    Raises ConfigurationError when the file cannot be read or others may read it.
    """
    path = folder / "signing-key.json"
    if not path.exists():
        _make(path)
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others; make it yours again with: chmod 600 {path}")
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"the signing key cannot be read: {error}") from error


def _make(path: Path) -> None:
    """Appears whole; of two processes that make one at once, both end up with the same."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({f"local-{secrets.token_hex(4)}": secrets.token_hex(32)}, file)
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        aside.unlink()
