"""How far a run is: a live display on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from epydrop.core.jobs import TaskCounts
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.formats.names import Stage
from epydrop_workstation.local.local_cloud import Machine

PLAIN_EVERY = 10.0  # seconds between two plain lines when only counts change
_BAR = 24


@dataclass(frozen=True)
class StageProgress:
    """One line of the display. ``done`` counts results, also of earlier attempts; times in seconds."""

    stage: Stage
    tasks: int
    done: int
    failed: int
    running: int
    seconds: float
    left: float | None
    attempt: int
    is_over: bool

    @property
    def words(self) -> str:
        """The line without a bar."""
        parts = [f"{self.done}/{self.tasks} done"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.running:
            parts.append(f"{self.running} running")
        parts.append(_clock(self.seconds))
        if self.left is not None:
            end = datetime.now().astimezone() + timedelta(seconds=self.left)
            parts.append(f"about {_clock(self.left)} to go, until {end:%H:%M}")
        if self.attempt > 1:
            parts.append(f"attempt {self.attempt}")
        return ", ".join(parts)


def stages_of(run: Run, machine: Machine) -> list[StageProgress]:
    """The progress of each stage that has begun, in their order."""
    return [_stage_progress(run, stage, machine) for stage in Stage if run.attempts_of(stage)]


def _stage_progress(run: Run, stage: Stage, machine: Machine) -> StageProgress:
    attempts = run.attempts_of(stage)
    newest = attempts[-1]
    is_current = run.current is newest and run.phase == Phase(stage)
    counts = machine.jobs.progress(newest.job_id) if is_current else newest.counts
    tasks = (run.tasks or 0) if stage is Stage.RUNNER else 1
    before = tasks - len(newest.orders.indices)
    done = before + counts.succeeded
    if stage is Stage.RUNNER and not is_current and run.phase is not Phase.RUNNER and run.missing:
        done = tasks - len(run.missing)
    end = datetime.now(UTC) if is_current else newest.ended or run.updated
    return StageProgress(
        stage=stage,
        tasks=tasks,
        done=done,
        failed=counts.failed,
        running=counts.running if is_current else 0,
        seconds=(end - attempts[0].begun).total_seconds(),
        left=_seconds_left(counts, (end - newest.begun).total_seconds()) if is_current else None,
        attempt=newest.orders.attempt,
        is_over=not is_current,
    )


def _seconds_left(counts: TaskCounts, elapsed: float) -> float | None:
    """At the pace so far; nothing can be said before two tasks ended."""
    ended = counts.succeeded + counts.failed
    still = counts.pending + counts.running
    return elapsed / ended * still if ended > 1 and still else None


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02} min"


class LiveProgress:
    """A small table that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, run: Run, machine: Machine) -> None:
        """Redraws the table."""
        table = Table.grid(padding=(0, 2))
        table.add_row(Text(run.exp_id, style="bold"), Text(run.run_id, style="dim"), "")
        for line in stages_of(run, machine):
            table.add_row(Text(f"  {line.stage}"), _bar(line), Text(line.words))
        if machine.waits_for:
            table.add_row(Text("  waiting", style="yellow"), "", Text(machine.waits_for))
        self._live.update(table, refresh=True)


def _bar(line: StageProgress) -> Text:
    full = round(_BAR * line.done / line.tasks) if line.tasks else 0
    colour = "red" if line.failed else "green" if line.done == line.tasks else "cyan"
    return Text("━" * full, style=colour) + Text("━" * (_BAR - full), style="grey37")


class PlainProgress:
    """One line for each stage begun or ended, and now and then one for the tasks done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[object, ...] = ()
        self._steps: tuple[object, ...] = ()
        self._at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def __call__(self, run: Run, machine: Machine) -> None:
        """Prints a line when there is something new to say."""
        if not self._steps:
            self._console.print(f"{run.exp_id}: run {run.run_id}", highlight=False, soft_wrap=True)
        steps = (run.phase, len(run.attempts), machine.waits_for)
        lines = stages_of(run, machine)
        shown = tuple((line.stage, line.done, line.failed, line.running) for line in lines)
        is_news = steps != self._steps or (shown != self._shown and time.monotonic() - self._at > PLAIN_EVERY)
        if is_news and machine.waits_for:
            self._console.print(f"waiting: {machine.waits_for}", markup=False, highlight=False, soft_wrap=True)
        elif is_news and run.phase.is_open and lines:
            self._console.print(f"{lines[-1].stage}: {lines[-1].words}", highlight=False, soft_wrap=True)
        if is_news:
            self._steps, self._shown, self._at = steps, shown, time.monotonic()
