"""The thread that runs the tasks of all jobs, and what other threads need to reach it."""

from __future__ import annotations

import logging
import platform
import threading

from batch_emulator.api.errors import unavailable
from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.launchers import Launcher, SpawnLauncher
from batch_emulator.engine.options import base_environment
from batch_emulator.engine.supervisor import Supervisor
from batch_emulator.options import ServerOptions
from epydrop.errors import RetryableError

_PACE = 0.05  # seconds; how late a new job may be noticed while others run
_IDLE = 60.0
_PAUSE = 1.0  # after something that may pass

log = logging.getLogger(__name__)


class Engine:
    """Tends the supervisor until it is closed. ``wake`` says that a job came or is to end."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._bell = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batch-api-engine", daemon=True)
        self.failure: BaseException | None = None  # why it does not run any more

    def start(self) -> None:
        """Takes up what an earlier server left."""
        self._thread.start()

    def wake(self) -> None:
        """Looks for new jobs at once. Raises ApiError when nobody will."""
        self._bell.set()
        if self.failure is not None:
            raise unavailable(f"the tasks are not run any more: {self.failure}")

    def close(self) -> None:
        """Ends the tasks; they wait for the next server, at no cost to their retries."""
        self._closing.set()
        self._bell.set()
        self._thread.join()
        self._supervisor.close()

    def _run(self) -> None:
        try:
            self._supervisor.recover()
            while not self._closing.is_set():
                self._bell.clear()
                self._tend()
                if self._supervisor.is_idle:
                    self._bell.wait(_IDLE)
        except BaseException as error:
            log.exception("the tasks are not run any more")
            self.failure = error

    def _tend(self) -> None:
        try:
            self._supervisor.tend(_PACE)
        except RetryableError as busy:
            log.warning("%s", busy)
            self._closing.wait(_PAUSE)


def launcher_for(options: ServerOptions) -> Launcher:
    """A fork server with the preloaded modules where forks are safe, fresh processes elsewhere."""
    if platform.system() != "Linux":
        return SpawnLauncher()
    env = {**base_environment(), **options.env}
    return ForkLauncher("batch_emulator.runnables", env, options.preload)
