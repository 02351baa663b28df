"""``epydrop replay``: every decision of a run made again by this version, and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from epydrop.errors import BadInput, ConfigurationError, Problem
from epydrop.formats.serialization import UnknownFormat, from_json, to_json
from epydrop_workstation.cli.exit_codes import PARTIAL
from epydrop_workstation.cli.options import DEFAULT_ROOT, Root, as_typed
from epydrop_workstation.cli.replay_lines import lines_of
from epydrop_workstation.cli.run_lookup import find_run
from epydrop_workstation.local.run_store import stored_runs
from epydrop_workstation.replaying import Recording, Replay
from epydrop_workstation.replaying import replay as replayed

CONTENTS = (
    "It holds what was decided and why: names, places, labels, sizes, counts and the first words of error messages; "
    "no observations, no results, no keys. Read it before you attach it to an issue."
)


def replay(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FILE",
            help="A run id, the beginning of one, 'latest', or a file that --save wrote.",
            show_default=False,
        ),
    ],
    root: Root = DEFAULT_ROOT,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write the run and its history to a file, for a bug report."),
    ] = None,
) -> None:
    """Make every decision of a run again with this version of epydrop, and name what differs.

    Nothing is computed or changed. The exit code is 0 if all decisions are the same, 1 if one differs, and 3 if none
    differs but some cannot be repeated, because the history does not hold what they were made from.

    Examples:
      epydrop replay latest

      epydrop replay latest --save bug.json

      epydrop replay bug.json
    """
    recording = _recording(run, root)
    if save is not None:
        _save(recording, save)
    try:
        outcome = replayed(recording.run, recording.history)
    except UnknownFormat as error:
        raise BadInput(Problem(f"run {recording.run.run_id} cannot be replayed: {error}")) from error
    console = Console(highlight=False)
    for line in lines_of(recording, outcome):
        console.print(line.text, style=line.style, markup=False, soft_wrap=True)
    if save is not None:
        console.print(f"Saved {save}. {CONTENTS}", markup=False, soft_wrap=True)
    elif _code(outcome) == 1 and not Path(run).is_file():
        words = as_typed(recording.run.run_id, root)
        console.print(f"To report this: epydrop replay {words} --save bug.json", markup=False, soft_wrap=True)
    raise typer.Exit(_code(outcome))


def _recording(text: str, root: Path) -> Recording:
    """The run with its history, from a file or from the root. Raises BadInput."""
    path = Path(text)
    try:
        if path.is_file():
            return from_json(Recording, path.read_bytes(), text)
        if path.suffix == ".json":
            raise BadInput(Problem(f"there is no file {text}", hint="epydrop replay RUN --save writes one"))
        with stored_runs(root) as store:
            found = find_run(store, text)
            return Recording(found, tuple(store.history(found.run_id)))
    except UnknownFormat as error:
        raise BadInput(Problem(str(error))) from error
    except OSError as error:
        raise ConfigurationError(f"{text} cannot be read: {error.strerror}") from error


def _save(recording: Recording, path: Path) -> None:
    try:
        path.write_bytes(to_json(recording))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _code(outcome: Replay) -> int:
    if outcome.differing or outcome.loose_ends:
        return 1
    return PARTIAL if outcome.unrecorded else 0
