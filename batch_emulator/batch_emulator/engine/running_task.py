"""One try of a task while it runs: when it must end, why it was ended, and how its end is to be read."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from batch_emulator.engine.job_store import TaskRow
from batch_emulator.engine.jobs import OUT_OF_MEMORY, TaskExit
from batch_emulator.engine.processes import signal_group
from batch_emulator.engine.task_process import exit_code_file
from batch_emulator.engine.work import Work

_MIB = 1024 * 1024


@dataclass
class RunningTask:
    """A process and its limits. Times are seconds of the monotonic clock."""

    work: Work
    row: TaskRow
    pid: int
    log: Path
    cwd: Path
    began: float
    fault: tuple[float, int] | None = None  # an injected fault: when to kill it, and the exit code to report
    verdict: int | None = None  # the exit code to report, whatever the process ends with
    kill_at: float = math.inf  # when the grace period after SIGTERM is over
    is_cancelled: bool = False

    @property
    def deadline(self) -> float:
        """When max_run_duration is over."""
        return self.began + self.work.max_run_duration

    def next_deadline(self) -> float:
        """When ``enforce`` has something to do, if the process does not end before."""
        if self.kill_at < math.inf:
            return self.kill_at
        return min(self.deadline, self.fault[0] if self.fault else math.inf)

    def enforce(self, now: float, grace: float) -> None:
        """Ends the process if its time is over: SIGTERM first, SIGKILL ``grace`` seconds later."""
        if self.verdict is None and self.fault and now >= self.fault[0]:
            self.kill(self.fault[1])
        elif now >= self.kill_at:
            signal_group(self.pid, signal.SIGKILL)
            self.kill_at = now + grace  # again, should it take so long to die
        elif self.verdict is None and now >= self.deadline:
            # SIGTERM first: a program may want to save its work.
            self.note(f"killed: it ran for {self.work.max_run_duration:.10g} s, the limit of max_run_duration")
            self.verdict = TaskExit.TIMED_OUT
            self.terminate(now, grace)

    def enforce_memory(self, used: int) -> None:
        """Kills the process if its whole group uses more memory, in bytes, than the job's memory_mib."""
        limit = self.work.memory_mib
        if used > limit * _MIB and self.verdict is None:
            # SIGKILL at once, as the kernel does it; while a program shuts down, the machine could run out of memory.
            self.note(f"killed: it used {used / _MIB:.0f} MiB of memory, its limit is {limit} MiB (memory_mib)")
            self.kill(OUT_OF_MEMORY)

    def terminate(self, now: float, grace: float) -> None:
        """Sends SIGTERM, once."""
        if self.kill_at == math.inf:
            signal_group(self.pid, signal.SIGTERM)
            self.kill_at = now + grace

    def cancel(self, now: float, grace: float) -> None:
        """Ends the process because its job was cancelled or deleted."""
        if not self.is_cancelled:
            self.is_cancelled = True
            self.note("cancelled")
            self.terminate(now, grace)

    def kill(self, verdict: int) -> None:
        """Sends SIGKILL; ``verdict`` is the exit code to report."""
        self.verdict = verdict
        self.kill_at = time.monotonic()
        signal_group(self.pid, signal.SIGKILL)

    def reported_exit_code(self) -> int | None:
        """The exit code above 255 that the task left in a file, if it did: no process can end with one."""
        file = exit_code_file(self.cwd)
        if not file.exists():
            return None
        code = int(file.read_text())
        file.unlink()
        return code

    def note(self, text: str) -> None:
        """Appends a line of the supervisor's to the task's log."""
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"supervisor: {text}\n")
