"""The thread that runs a supervisor."""

from __future__ import annotations

import logging
import threading

from batch_emulator.engine.errors import UnavailableError
from batch_emulator.engine.supervisor import Supervisor

_STEP = 0.05  # seconds; how late a new job may be noticed while others run
_IDLE = 60.0
_PAUSE = 1.0  # after an error that may pass

log = logging.getLogger(__name__)


class Worker:
    """Runs the supervisor until it is closed; ``failure`` is why it stopped before, if it did."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batch-emulator-worker", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Starts the thread, which first takes up what an earlier one left."""
        self._thread.start()

    def wake(self) -> None:
        """Makes the thread look for new jobs and cancellations at once."""
        self._wake.set()

    def close(self) -> None:
        """Ends the tasks; they wait for the next start, without loss of a retry."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        self._supervisor.close()

    def _run(self) -> None:
        try:
            self._supervisor.recover()
            while not self._closing.is_set():
                self._wake.clear()
                self._step()
                if self._supervisor.is_idle:
                    self._wake.wait(_IDLE)
        except BaseException as error:  # including SystemExit: a dead thread must not look like an idle one
            log.exception("tasks are no longer run")
            self.failure = error

    def _step(self) -> None:
        try:
            self._supervisor.step(_STEP)
        except UnavailableError as error:
            log.warning("%s", error)
            self._closing.wait(_PAUSE)
