"""One try of a task while it runs: when it must end, why it was ended, and how its end is to be read."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from batch_emulator.engine.job_store import TaskRow
from batch_emulator.engine.processes import signal_group
from batch_emulator.engine.task_process import report_of
from batch_emulator.engine.work import Work
from epydrop.core.jobs import TaskExit
from epydrop.errors import ExitCode

_MIB = 1024 * 1024


@dataclass
class RunningTask:
    """A process and what was promised about it. Times are of the monotonic clock, in seconds."""

    work: Work
    row: TaskRow
    pid: int
    log: Path
    cwd: Path
    began: float
    strike: tuple[float, int] | None = None  # when its machine is lost, and the exit code to report
    verdict: int | None = None  # the exit code to report, whatever the process says
    kill_at: float = math.inf  # the moment at which patience after SIGTERM is over
    is_cancelled: bool = False

    @property
    def deadline(self) -> float:
        """When this try has run for as long as it may."""
        return self.began + self.work.max_run_duration

    def next_moment(self) -> float:
        """When there is something to do about it, if nothing happens before."""
        if self.kill_at < math.inf:
            return self.kill_at
        return min(self.deadline, self.strike[0] if self.strike else math.inf)

    def enforce(self, now: float, grace: float) -> None:
        """Ends it when its time is over: asked first, and after ``grace`` seconds made to."""
        if self.verdict is None and self.strike and now >= self.strike[0]:
            self.kill(self.strike[1])
        elif now >= self.kill_at:
            signal_group(self.pid, signal.SIGKILL)
            self.kill_at = now + grace  # again, should it take so long to die
        elif self.verdict is None and now >= self.deadline:
            self.note(f"killed: it ran for {self.work.max_run_duration:.10g} s, the limit of max_run_duration")
            self.verdict = TaskExit.TIMED_OUT
            self.terminate(now, grace)

    def enforce_memory(self, used: int) -> None:
        """Ends it at once when all its processes together use more bytes than it may."""
        limit = self.work.memory_mib
        if used > limit * _MIB and self.verdict is None:
            self.note(f"killed: it used {used / _MIB:.0f} MiB of memory, its limit is {limit} MiB (memory_mib)")
            self.kill(ExitCode.OUT_OF_MEMORY)

    def terminate(self, now: float, grace: float) -> None:
        """Asks it to end, once."""
        if self.kill_at == math.inf:
            signal_group(self.pid, signal.SIGTERM)
            self.kill_at = now + grace

    def cancel(self, now: float, grace: float) -> None:
        """Asks it to end because nobody wants it any more."""
        if not self.is_cancelled:
            self.is_cancelled = True
            self.note("cancelled")
            self.terminate(now, grace)

    def kill(self, verdict: int) -> None:
        """Ends it at once; ``verdict`` is the exit code to report."""
        self.verdict = verdict
        self.kill_at = time.monotonic()
        signal_group(self.pid, signal.SIGKILL)

    def reported(self) -> int | None:
        """The exit code that the task left word of, if it did: one that no process can end with."""
        report = report_of(self.cwd)
        if not report.exists():
            return None
        code = int(report.read_text())
        report.unlink()
        return code

    def note(self, words: str) -> None:
        """Adds a line of the supervisor's to the task's log."""
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"epydrop: {words}\n")
