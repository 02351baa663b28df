"""The one SQLite file under ROOT/.epydrop that runs, events and jobs share, so that one transaction can span them."""

from __future__ import annotations

from pathlib import Path

from batch_emulator.engine.sqlite_file import SqliteFile
from epydrop.errors import ConfigurationError, RetryableError
from epydrop.formats.names import LOCAL_STATE
from epydrop_workstation.local.schema import SCHEMA


class Database(SqliteFile):
    """The state file of one ROOT; ``patience`` is how many seconds a writer waits for another.

    Raises ConfigurationError if the folder cannot be written, or the file is damaged, of another version or of
    another program; RetryableError if the file stays locked or the disk is full.
    """

    program = "epydrop"
    folder_option = "--root"
    retryable_error = RetryableError
    permanent_error = ConfigurationError

    def __init__(self, root: Path, *, patience: float = 30.0) -> None:
        super().__init__(root.absolute() / LOCAL_STATE, SCHEMA, patience=patience)
