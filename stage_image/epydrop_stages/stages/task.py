"""A stage process: reads its environment, runs the stage, leaves telemetry or an error record, returns an exit code."""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from epydrop.errors import ConfigurationError, EpydropError, ExitCode
from epydrop.formats.names import Stage, error_name, telemetry_name
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import prepare, to_json
from epydrop.formats.stage_records import ErrorRecord, Telemetry
from epydrop.logs import log_context, measured, set_up_logs
from epydrop.stores import open_store
from epydrop_stages.artifacts.metered_store import MeteredStore
from epydrop_stages.artifacts.usage import Usage, cpu_seconds
from epydrop_stages.stages import builder, output, runner
from epydrop_stages.stages.context import SECRETS, TaskContext, TaskEnvironment
from epydrop_stages.stages.failures import Failure
from epydrop_stages.stages.watchdog import watched
from epydrop_stages.stages.workspace import suite_workspace
from epydrop_stages.suites.registry import preload

_log = logging.getLogger("epydrop.stages")

# At import, so that a process that has imported this module forks into tasks that start at once.
preload()
prepare(Orders, Telemetry)

_STAGES: dict[Stage, Callable[[TaskContext], bool]] = {
    Stage.BUILDER: builder.run,
    Stage.RUNNER: runner.run,
    Stage.OUTPUT: lambda context: _with_files(context, output.run),
}


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run the stage named by the only argument; returns an ExitCode. ``environ`` says which task of which run."""
    as_json = not environ.get("EPYDROP_RUN_URL", "").startswith("file:")
    set_up_logs(as_json=as_json, stream=sys.stdout if as_json else None)  # Batch parses JSON on stdout only
    try:
        environment = TaskEnvironment.read(_stage(argv), environ)
        for name in SECRETS:  # what a suite prints or stores of its environment must not hold them
            os.environ.pop(name, None)
        store = MeteredStore(open_store(environment.run_url), Usage())
    except EpydropError as error:
        _log.error("%s", error)
        return error.exit_code
    with log_context(stage=str(environment.stage), attempt=str(environment.attempt)):
        return _Try(environment, store).run()


def _with_files(context: TaskContext, run: Callable[[TaskContext], bool]) -> bool:
    """Run a stage where its suite finds the experiment's files."""
    with suite_workspace(context, context.experiment().suite):
        return run(context)


def _stage(argv: Sequence[str]) -> Stage:
    if len(argv) != 1 or argv[0] not in set(Stage):
        raise ConfigurationError(f"expected one argument, one of {', '.join(Stage)}, got {list(argv)}")
    return Stage(argv[0])


class _Try:
    """One try of one task. It leaves a record in every case, because an exit code alone explains nothing."""

    def __init__(self, environment: TaskEnvironment, store: MeteredStore) -> None:
        self._environment = environment
        self._store = store
        self._context: TaskContext | None = None
        self._started = time.time()

    def run(self) -> int:
        """Run the stage; returns the exit code. Unless it is 0 an error record is written, if the store still works."""
        with watched(self._environment.max_silence, self._store.usage, self._leave_failure):
            return self._run()

    def _run(self) -> int:
        try:
            self._context = TaskContext.open(self._environment, self._store)
            done = _STAGES[self._environment.stage](self._context)
            self._leave_telemetry(skipped=not done)
        except Exception as error:  # noqa: BLE001 - every error becomes a record and an exit code
            failure = Failure.of(error)
            self._leave_failure(failure)
            return failure.exit_code
        return ExitCode.OK

    @property
    def _index(self) -> int:
        # Without orders only the position in the job is known.
        return self._context.index if self._context else self._environment.position

    @property
    def _run_id(self) -> str:
        return self._context.orders.run_id if self._context else ""

    def _leave_failure(self, failure: Failure) -> None:
        self._log_failure(failure)
        self._leave_error(failure)

    def _log_failure(self, failure: Failure) -> None:
        """Log with the original traceback, which may come from a worker process."""
        where = f"{self._environment.stage} task {self._index}"
        _log.error("%s failed with exit code %d\n%s", where, failure.exit_code, failure.traceback)

    def _leave_telemetry(self, *, skipped: bool) -> None:
        record = Telemetry(
            run_id=self._run_id,
            stage=self._environment.stage,
            attempt=self._environment.attempt,
            index=self._index,
            retry=self._environment.retry,
            started=self._started,
            wall_seconds=time.time() - self._started,
            cpu_seconds=cpu_seconds(),
            peak_memory_mib=self._store.usage.peak_memory_mib,
            bytes_in=self._store.usage.bytes_in,
            bytes_out=self._store.usage.bytes_out,
            host=platform.node(),
            skipped=skipped,
        )
        self._store.write(telemetry_name(record.stage, record.attempt, record.index, record.retry), to_json(record))
        seconds, mib = record.wall_seconds, record.peak_memory_mib
        values = measured(stage=str(record.stage), wall_seconds=seconds, peak_memory_mib=mib)
        _log.info("took %.1f s, held %.0f MiB", seconds, mib, extra=values)

    def _leave_error(self, failure: Failure) -> None:
        record = ErrorRecord(
            run_id=self._run_id,
            stage=self._environment.stage,
            attempt=self._environment.attempt,
            index=self._index,
            retry=self._environment.retry,
            exit_code=failure.exit_code,
            type=failure.type,
            message=failure.message,
            traceback=failure.traceback,
            fingerprint=failure.fingerprint,
            host=platform.node(),
            peak_memory_mib=self._store.usage.peak_memory_mib,
            problems=failure.problems,
            started=self._started,
            wall_seconds=time.time() - self._started,
        )
        try:
            self._store.write(error_name(record.stage, record.attempt, record.index, record.retry), to_json(record))
        except Exception:  # noqa: BLE001 - the store may be what is broken; the first error and its exit code stand
            _log.exception("the error record could not be stored")
